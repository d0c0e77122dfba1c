"""The container image, as far as its text goes; `container.sh` builds and runs it."""

import re
from pathlib import Path

import tomli as tomllib

from tests.support.paths import ROOT

CONTAINERFILE = (ROOT / "Containerfile").read_text()
CONTEXT = [line[2:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!/")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def in_context(name: str) -> bool:
    """Whether a file or folder of the repository is sent to the build."""
    return any(name == kept or name.startswith(f"{kept}/") for kept in CONTEXT)


def test_the_context_holds_all_that_the_wheel_is_made_of() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    named = [path.lstrip("/") for path in wheel["include"]] + list(wheel["force-include"])
    named += ["pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]
    assert [name for name in named if not in_context(name)] == []


def test_the_context_holds_nothing_that_is_missing_and_nothing_of_the_developers() -> None:
    assert [name for name in CONTEXT if not (ROOT / name).exists()] == []
    assert not any(in_context(name) for name in (".git", ".venv", "tests", "runs", "out", "scripts"))


def test_copied_files_are_in_the_context() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", CONTAINERFILE, re.MULTILINE)
    assert copied == [".", "config.toml"]
    assert in_context("config.toml")


def test_extras_and_commands_exist() -> None:
    extras = {*re.findall(r"EXTRA=(\w+)", CONTAINERFILE), *re.findall(r'"\$EXTRA" = (\w+)', CONTAINERFILE)}
    assert extras == {"cpu", "jetson"}
    assert extras <= PROJECT["project"]["optional-dependencies"].keys()
    assert 'ENTRYPOINT ["korsal-edge"]' in CONTAINERFILE
    assert "korsal-edge" in PROJECT["project"]["scripts"]


def test_commands_find_the_configuration_where_it_lies() -> None:
    (folder,) = re.findall(r"^WORKDIR (/etc\S+)$", CONTAINERFILE, re.MULTILINE)
    assert f"COPY config.toml {Path(folder) / 'config.toml'}" in CONTAINERFILE


def test_the_daemon_runs_as_a_user_of_its_own_with_its_state_in_a_volume() -> None:
    last = CONTAINERFILE[CONTAINERFILE.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["korsal-edge"]
    (volume,) = re.findall(r"^VOLUME (.+)$", last, re.MULTILINE)
    assert f"STATE_DIRECTORY={volume}" in last
