"""install.sh lets the service restart NVIDIA's camera service, and takes that back: its functions, with stand-ins."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

ALLOWED = "[cameras]\nrestart_argus = true\n"
SCRIPT = """
set -euo pipefail
ROOT=$0 CONFIGS=$PWD/etc UNITS=$PWD/units SCRATCH=$(mktemp -d -p "$PWD") SYSTEMD=/nowhere
DESTDIR='' DRY_RUN=0 CHANGED=0 UNDO=() MADE=() WARNINGS=()
source "$0/scripts/install/common.sh"
source "$0/scripts/install/service.sh"
source "$0/scripts/install/argus.sh"
RULES=$PWD/rules.d/50-korsal-edge.rules
pkaction() { [[ $VERSION ]] && echo "pkaction version $VERSION"; }
trap end EXIT
install_argus_rights
[[ ! -e fail ]] || exit 1
UNDO=()
"""
RULE = {"rules.d/50-korsal-edge.rules"}
UNITS = {
    "units/korsal-edge-argus.service",
    "units/korsal-edge-argus.path",
    "units/korsal-edge.service.wants/korsal-edge-argus.path",
}


def rights(machine: Path, text: str, version: str = "122") -> set[str]:
    """The files that give the right, after an installation with this configuration."""
    (machine / "etc").mkdir(exist_ok=True)
    (machine / "etc/config.toml").write_text(text)
    environment = {"VERSION": version, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    command = ["bash", "-c", SCRIPT, str(ROOT)]
    done = subprocess.run(
        command, cwd=machine, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode == 0) == (not (machine / "fail").exists()), done.stderr
    found = [path for part in ("rules.d", "units") for path in (machine / part).rglob("*.*") if not path.is_dir()]
    return {str(path.relative_to(machine)) for path in found}


@pytest.mark.parametrize("version", ["0.106", "0.120", "121", "122", "124", "126"])
def test_a_polkit_with_rules_for_single_units_gets_one(tmp_path: Path, version: str) -> None:
    assert rights(tmp_path, ALLOWED, version) == RULE


@pytest.mark.parametrize("version", ["0.105", "0.96", ""])
def test_an_older_polkit_or_none_gets_units(tmp_path: Path, version: str) -> None:
    """0.105 is that of Ubuntu 20.04 and 22.04, and so of JetPack 5 and 6."""
    assert rights(tmp_path, ALLOWED, version) == UNITS
    link = tmp_path / "units/korsal-edge.service.wants/korsal-edge-argus.path"
    assert link.resolve() == tmp_path / "units/korsal-edge-argus.path"


@pytest.mark.parametrize("version", ["122", "0.105"])
def test_it_is_taken_back(tmp_path: Path, version: str) -> None:
    rights(tmp_path, ALLOWED, version)
    assert rights(tmp_path, ALLOWED.replace("true", "false"), version) == set()
    assert not (tmp_path / "units/korsal-edge.service.wants").exists()


@pytest.mark.parametrize("version", ["122", "0.105"])
def test_what_fails_later_leaves_it_as_it_was(tmp_path: Path, version: str) -> None:
    (tmp_path / "fail").touch()
    assert rights(tmp_path, ALLOWED, version) == set()
    (tmp_path / "fail").unlink()
    before = rights(tmp_path, ALLOWED, version)
    (tmp_path / "fail").touch()
    assert rights(tmp_path, "", version) == before


@pytest.mark.parametrize(
    "text",
    ["", "[cameras]\n#restart_argus = true\n", '[cameras.restart_argus]\nsource = "csi://0"\n', "restart_argus = 1\n"],
)
def test_nobody_gets_it_unasked(tmp_path: Path, text: str) -> None:
    assert rights(tmp_path, text) == set()


def test_the_rule_names_one_user_one_unit_and_one_verb() -> None:
    rule = (ROOT / "systemd/korsal-edge-argus.rules").read_text()
    assert re.findall(r'== "(.+?)"', rule) == [
        "org.freedesktop.systemd1.manage-units",
        "korsal-edge",
        "nvargus-daemon.service",
        "restart",
    ]
    assert rule.count("&&") == 3
    assert "||" not in rule


def test_the_unit_waits_for_the_file_that_the_daemon_writes() -> None:
    unit = (ROOT / "systemd/korsal-edge-argus.path").read_text()
    service = (ROOT / "systemd/korsal-edge.service").read_text()
    assert "PathExists=/run/korsal-edge/restart-argus" in unit
    assert "RuntimeDirectory=korsal-edge\n" in service
