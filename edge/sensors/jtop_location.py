"""Finds the package of jetson-stats where it lies in an environment of its own, as pipx installs it. Shell.

The service imports what it finds, so nothing is taken that anybody but root could have written.
"""

import os
import stat
import sys
from pathlib import Path

COMMAND = Path("/usr/local/bin/jtop")  # as its service calls it
REMEDY = (
    "sudo env PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install --python "
    f"/usr/bin/python3.{sys.version_info[1]} jetson-stats"
)


class UnusableInstallationError(Exception):
    """jetson-stats is installed where the service cannot or must not import it; the message says why."""


def packages_folder(command: Path = COMMAND, owner: int = 0) -> Path:
    """The site-packages of the environment that the command belongs to. `owner`: the user who must own all of it.

    Raises UnusableInstallationError.
    """
    try:
        folder = (
            command.resolve(strict=True).parents[1] / f"lib/python3.{sys.version_info[1]}/site-packages"
        ).resolve()
        found = (folder / "jtop/__init__.py").exists()
    except OSError:  # ProtectHome= hides homes from the service
        raise UnusableInstallationError(f"{command} leads nowhere that the service can see") from None
    if not found:
        raise UnusableInstallationError(f"{folder} has no jtop")
    changeable = _changeable(folder, owner)
    if changeable is not None:
        raise UnusableInstallationError(f"users other than root could change {changeable}")
    return folder


def _changeable(folder: Path, owner: int) -> Path | None:
    """The first path in or above the folder that somebody but root and `owner` could change; links count as such."""
    inside = (Path(top) / name for top, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in (folder, *folder.parents, *inside):
        status = path.lstat()
        sticky = path in folder.parents and status.st_mode & stat.S_ISVTX  # nobody can replace what lies in it
        writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky
        if status.st_uid not in (0, owner) or stat.S_ISLNK(status.st_mode) or writable:
            return path
    return None
