"""A CSI camera for a daemon of the tests: `nvarguscamerasrc` by name, and of Argus its sessions.

`tests/install/jetpack/gst_elements.c` says what it does not prove. The daemon runs with the system's OpenCV and NumPy,
as on a Jetson, because that OpenCV has GStreamer.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.system_gstreamer import require_opencv

SOURCE = ROOT / "tests/install/jetpack/gst_elements.c"
DIST_PACKAGES = Path("/usr/lib/python3/dist-packages")
HEADERS = ("pkg-config", "--cflags", "--libs", "gstreamer-base-1.0")
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {folder}/asked
rm -f {folder}/session-*
"""


class FakeArgus:
    """Argus' sessions in a folder, with a systemctl that ends them all, as a restart of the service does."""

    def __init__(self, folder: Path) -> None:
        require_opencv()
        self._folder = folder / "argus"
        self._folder.mkdir()
        _compile(self._folder / "libgstkorsalstandins.so")
        packages = _system_packages(folder / "packages")
        program = folder / "bin/systemctl"
        program.parent.mkdir()
        program.write_text(SYSTEMCTL.format(folder=self._folder))
        program.chmod(0o755)
        self.environment = {
            "GST_PLUGIN_PATH": str(self._folder),
            "GST_REGISTRY": str(self._folder / "registry"),
            "KORSAL_ARGUS": str(self._folder),
            "PATH": f"{program.parent}:/usr/bin:/bin",
            "PYTHONPATH": f"{packages}:{ROOT}",
        }

    @property
    def owners(self) -> list[int]:
        """The processes that have a session, dead ones too."""
        return [int(path.read_text()) for path in self._folder.glob("session-*")]

    @property
    def asked(self) -> str:
        """What systemctl was asked, a line each time."""
        file = self._folder / "asked"
        return file.read_text() if file.exists() else ""


def _compile(target: Path) -> None:
    """The elements as a plugin. Skips without a compiler or GStreamer's headers."""
    flags = subprocess.run(HEADERS, capture_output=True, text=True, check=False) if shutil.which("pkg-config") else None
    if flags is None or flags.returncode or not shutil.which("gcc"):
        pytest.skip("no gcc or no headers of GStreamer: apt-get install gcc pkg-config libgstreamer1.0-dev")
    command = ["gcc", "-Wall", "-Werror", "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(target)]
    subprocess.run([*command, *flags.stdout.split()], check=True)


def _system_packages(folder: Path) -> Path:
    """A folder with the system's OpenCV and NumPy alone. Skips where they are for another Python than this one."""
    opencv = next(DIST_PACKAGES.glob(f"cv2.{sys.implementation.cache_tag}-*.so"), None)
    if opencv is None:
        pytest.skip(f"the system's OpenCV is not for Python {sys.version_info[0]}.{sys.version_info[1]}")
    folder.mkdir()
    for package in (opencv, DIST_PACKAGES / "numpy"):
        (folder / package.name).symlink_to(package)
    return folder
