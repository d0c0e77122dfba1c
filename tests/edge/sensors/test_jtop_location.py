"""Where jetson-stats is imported from when pipx has installed it, and what is refused."""

import os
import sys
from pathlib import Path

import pytest

from edge.sensors.jtop_location import UnusableInstallationError, packages_folder

INSIDE = f"lib/python3.{sys.version_info[1]}/site-packages"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A command as pipx links it, into an environment with the package."""
    environment = tmp_path / "pipx/venvs/jetson-stats"
    package = environment / INSIDE / "jtop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch(mode=0o644)
    (environment / "bin").mkdir()
    (environment / "bin/jtop").touch()
    link = tmp_path / "jtop"
    link.symlink_to(environment / "bin/jtop")
    for top, folders, files in os.walk(tmp_path):
        for name in (*folders, *files):
            if not (Path(top) / name).is_symlink():
                (Path(top) / name).chmod(0o755)
    return link


def test_the_environment_of_the_command_is_found(command: Path) -> None:
    assert packages_folder(command, os.geteuid()) == command.resolve().parents[1] / INSIDE


def test_a_command_that_is_not_there_or_hidden(command: Path) -> None:
    with pytest.raises(UnusableInstallationError, match="nowhere that the service can see"):
        packages_folder(command.with_name("none"))
    command.resolve().unlink()
    with pytest.raises(UnusableInstallationError, match="nowhere that the service can see"):
        packages_folder(command)


def test_an_environment_of_another_python(command: Path) -> None:
    packages = command.resolve().parents[1] / INSIDE
    packages.parent.rename(packages.parent.with_name("python3.3"))
    with pytest.raises(UnusableInstallationError, match="has no jtop"):
        packages_folder(command)


@pytest.mark.parametrize("which", ["", "jtop", "jtop/__init__.py"])
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_what_others_can_write_is_refused(which: str, mode: int, command: Path) -> None:
    path = command.resolve().parents[1] / INSIDE / which
    path.chmod(mode)
    with pytest.raises(UnusableInstallationError, match=f"could change {path}"):
        packages_folder(command, os.geteuid())


def test_a_folder_above_that_others_can_write_is_refused(command: Path) -> None:
    above = command.resolve().parents[2]
    above.chmod(0o777)
    with pytest.raises(UnusableInstallationError, match=f"could change {above}$"):
        packages_folder(command, os.geteuid())


def test_a_link_is_refused_for_it_may_lead_anywhere(command: Path, tmp_path: Path) -> None:
    link = command.resolve().parents[1] / INSIDE / "jtop/gui"
    link.symlink_to(tmp_path)
    with pytest.raises(UnusableInstallationError, match=f"could change {link}"):
        packages_folder(command, os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_refused(command: Path) -> None:
    file = command.resolve().parents[1] / INSIDE / "jtop/__init__.py"
    os.chown(file, 65534, 65534)
    with pytest.raises(UnusableInstallationError, match=f"could change {file}"):
        packages_folder(command)
