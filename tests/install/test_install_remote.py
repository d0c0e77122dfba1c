"""install.sh hands `config.toml` to the service and returns it to root: its functions, with stand-ins for accounts.

Owners, and what the service then can do: test_installation_nspawn.py.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

SHIPPED = "# as it came\n"
CLOSED = "# mine\nallow_remote_config = false\n"
OPEN = "# mine\nallow_remote_config = true\n"
SCRIPT = """
set -euo pipefail
ROOT=$PWD/src CONFIGS=$PWD/etc REMOTE=$PWD/etc/remote APP=$PWD/opt SCRATCH=$(mktemp -d -p "$PWD")
DESTDIR='' BEFORE=current DRY_RUN=${1:-0} CHANGED=0 UNDO=() MADE=() WARNINGS=()
source "$0/scripts/install/common.sh"
source "$0/scripts/install/service.sh"
source "$0/scripts/install/config.sh"
chown() { :; }
runuser() { "${@:4}"; }
install() { [[ $3 != -g ]] || set -- "$1" "$2" "${@:5}" && command install "$@"; }
trap end EXIT
install_config
[[ ! -e fail ]] || exit 1
UNDO=()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """One on which korsal-edge was installed before."""
    for folder in ("src", "etc", "opt/current"):
        (tmp_path / folder).mkdir(parents=True)
    for shipped in ("src", "opt/current"):
        (tmp_path / shipped / "config.toml").write_text(SHIPPED)
    return tmp_path


def install(machine: Path, text: str | None = None, dry: bool = False) -> str:
    """What it says; `text`: written into the configuration before, through a link that may be there."""
    if text is not None:
        (machine / "etc/config.toml").write_text(text)
    command = ["bash", "-c", SCRIPT, str(ROOT), str(int(dry))]
    done = subprocess.run(command, cwd=machine, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode == 0) == (not (machine / "fail").exists()), done.stderr
    return done.stdout


def files(machine: Path) -> dict[str, str]:
    """What lies there: texts, and `-> ` where links point."""
    etc = machine / "etc"
    found = [path for path in sorted(etc.rglob("*")) if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(etc)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text() for path in found
    }


REMOTE = {"config.toml": "-> remote/config.toml", "remote/config.toml": OPEN}


def test_it_is_lent_where_the_key_is_set_and_taken_back_where_it_is_not(machine: Path) -> None:
    install(machine, OPEN)
    assert files(machine) == REMOTE
    assert [oct(path.stat().st_mode & 0o777) for path in (machine / "etc/remote", machine / "etc/config.toml")] == [
        "0o750",
        "0o640",
    ]
    output = install(machine)
    assert files(machine) == REMOTE
    assert "where the service may change it" not in output
    install(machine, CLOSED)
    assert files(machine) == {"config.toml": CLOSED}
    assert not (machine / "etc/remote").exists()


@pytest.mark.parametrize(
    ("text", "lent"),
    [
        ("mqtt.allow_remote_config = true\n", True),
        ('[mqtt]\nhost = "here"\n  allow_remote_config=true # yes\n', True),
        ('mqtt = { host = "here", allow_remote_config = true }\n', True),
        ("[web]\nallow_changes = true  # on the live page\n", True),
        ("[web]\nallow_changes = false\n", False),
        ("#allow_changes = true\n", False),
        ("#allow_remote_config = true\n", False),
        ("allow_remote_config = false # true\n", False),
        ("host = 'b' # allow_remote_config = true\n", False),
    ],
)
def test_the_key_is_found_however_it_is_written(text: str, lent: bool, machine: Path) -> None:
    install(machine, text)
    assert (machine / "etc/remote").exists() == lent


def test_a_pipe_in_the_place_of_the_file_is_refused(machine: Path) -> None:
    """It would never end to be read."""
    install(machine, OPEN)
    (machine / "etc/remote/config.toml").unlink()
    os.mkfifo(machine / "etc/remote/config.toml")
    done = subprocess.run(
        ["bash", "-c", SCRIPT, str(ROOT), "0"],
        cwd=machine,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert "config.toml is not a file" in done.stderr


@pytest.mark.parametrize(("text", "after"), [(OPEN, REMOTE), (CLOSED, {"config.toml": CLOSED})])
def test_an_editor_may_have_put_a_file_in_the_links_place(text: str, after: dict[str, str], machine: Path) -> None:
    install(machine, f"# old\n{OPEN}")
    (machine / "etc/config.toml").unlink()
    install(machine, text)
    assert files(machine) == after


@pytest.mark.parametrize("text", [OPEN, CLOSED])
def test_a_link_of_ones_own_stays(text: str, machine: Path) -> None:
    (machine / "etc/remote").mkdir()
    (machine / "etc/remote/mine.toml").touch()
    (machine / "etc/config.toml").symlink_to("remote/mine.toml")
    output = install(machine, text)
    assert files(machine) == {"config.toml": "-> remote/mine.toml", "remote/mine.toml": text}
    assert ("is a link of your own, so the service may not change it. Fix:" in output) == (text == OPEN)


def test_an_upgrade_leaves_it_lent_and_lays_the_new_one_beside_the_link(machine: Path) -> None:
    install(machine, OPEN)
    (machine / "src/config.toml").write_text("# new\n")
    install(machine)
    assert files(machine) == {**REMOTE, "config.toml.new": "# new\n"}


def test_a_lost_folder_leaves_what_is_shipped(machine: Path) -> None:
    install(machine, OPEN)
    (machine / "etc/remote/config.toml").unlink()
    install(machine)
    assert files(machine) == {"config.toml": SHIPPED}


@pytest.mark.parametrize(("before", "text"), [(CLOSED, OPEN), (OPEN, CLOSED)])
def test_what_fails_later_leaves_it_as_it_was(before: str, text: str, machine: Path) -> None:
    install(machine, before)
    (machine / "etc/config.toml").write_text(text)
    was = files(machine)
    install(machine, dry=True)
    assert files(machine) == was
    (machine / "fail").touch()
    install(machine)
    assert files(machine) == was
