"""A Debian root that looks like JetPack to korsal-edge: stand-ins for what NVIDIA brings, each of which says in its own
file what it does not prove (`tests/install/jetpack/`).
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.fake_jetson import ORIN, plant
from tests.support.machine import Machine, call, in_folder, make_root
from tests.support.paths import ROOT

STAND_INS = ROOT / "tests/install/jetpack"
PACKAGES = (
    *("gcc", "libc6-dev", "pkg-config", "libgstreamer1.0-dev", "libgstreamer-plugins-base1.0-dev", "python3-opencv"),
    *("python3-gi", "gir1.2-gst-rtsp-server-1.0", "gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good"),
    *("gstreamer1.0-plugins-bad", "gstreamer1.0-plugins-ugly", "gstreamer1.0-libav", "python3.11-venv"),
)
PYTHON_PACKAGES = "usr/lib/python3/dist-packages"
FAKES = ("fake_tensorrt.py", "fake_tensorrt_builder.py", "fake_tensorrt_runtime.py", "tensorrt_api")

PLUGIN = """
    plugins=$(pkg-config --variable=pluginsdir gstreamer-1.0)
    flags=$(pkg-config --cflags --libs gstreamer-base-1.0)
    gcc -Wall -O2 -shared -fPIC /in/gst_elements.c -o $plugins/libgstkorsalstandins.so $flags
"""


@dataclass(frozen=True)
class JetPack:
    """What differs between releases, as far as korsal-edge looks at it. `nodes`: of the GPU's driver, in /dev."""

    l4t: str
    tensorrt: str
    cuda: int
    nodes: tuple[str, ...]


JETPACK_6 = JetPack("# R36 (release), REVISION: 4.3, GCID: 38968081", "10.3", 12060, ("nvmap", "nvhost-gpu"))
JETPACK_7 = JetPack("# R38 (release), REVISION: 2.0, GCID: 41844464", "10.13", 13000, ("nvidiactl", "nvidia0"))


def make_jetpack_root(folder: Path) -> Path:
    """A fresh root with what Ubuntu brings; KORSAL_JETPACK=FOLDER keeps it there for the next time."""
    kept = Path(os.environ["KORSAL_JETPACK"])
    if not kept.exists():
        fresh = make_root(folder)
        in_folder(fresh, "apt-get", "-q", "update", binds={})
        apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "install", "--no-install-recommends")
        in_folder(fresh, *apt, *PACKAGES, binds={})
        call("mv", "-T", fresh, kept)
    call("cp", "-a", "--reflink=auto", kept, folder / "root")
    return folder / "root"


def plant_stand_ins(root: Path) -> None:
    """Everything of NVIDIA's that does not depend on the release."""
    tensorrt = root / PYTHON_PACKAGES / "tensorrt"
    support = tensorrt / "korsal-stand-ins/tests/support"
    support.mkdir(parents=True)
    for name in FAKES:
        source = ROOT / "tests/support" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, support / name)
    (support / "tiny_model.py").write_text("LABELS: tuple[str, ...] = ()\nSIZE = 1\n")  # the fake's default network
    shutil.copy(STAND_INS / "tensorrt.py", tensorrt / "__init__.py")
    in_folder(root, "sh", "-ec", PLUGIN, binds={STAND_INS: "/in"})
    plant(root / "orin", ORIN)


def set_release(root: Path, jetpack: JetPack, machine: Machine | None = None) -> None:
    """Replace what an upgrade of JetPack replaces, on the booted machine or in a root that is not booted."""
    (root / "etc/nv_tegra_release").write_text(f"{jetpack.l4t}, BOARD: generic, EABI: aarch64\n")
    (root / PYTHON_PACKAGES / "tensorrt/VERSION").write_text(f"{jetpack.tensorrt}\n")
    nodes = "".join(f"c /dev/{name} 0660 root video - 1:3\n" for name in jetpack.nodes)
    (root / "etc/tmpfiles.d/nvidia.conf").write_text(nodes)
    library = f"/usr/local/cuda/lib64/libcudart.so.{jetpack.cuda // 1000}"
    flags = f"-Wall -shared -fPIC -DVERSION={jetpack.cuda}"
    script = f"""
        rm -rf /usr/local/cuda
        mkdir -p /usr/local/cuda/lib64
        gcc {flags} /in/libcudart.c -o {library}
        ln -sf {library} /usr/lib/libcuda.so.1
    """
    if machine is None:
        in_folder(root, "sh", "-ec", script, binds={STAND_INS: "/in"})
    else:
        machine.run("sh", "-ec", script)
