"""The versions of everything that korsal-edge runs on, for a report. Shell: reads files, asks libraries."""

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import cv2
import psutil

from edge import __version__
from edge.cameras.gstreamer_elements import known_elements
from edge.cameras.gstreamer_pipelines import ELEMENTS
from edge.engines.cuda_library import libraries
from edge.engines.cuda_runtime import Cuda, CudaError, version_text
from edge.engines.engine_build import L4T_RELEASE
from edge.engines.tensorrt_engine import bindings
from edge.engines.tensorrt_errors import TensorRtError
from edge.sensors import jetson_sysfs
from edge.sensors.sensor_reading import SensorReading

MODEL = Path("/proc/device-tree/model")
RELEASE = Path("/etc/os-release")
DEBIAN = (
    "nvidia-jetpack", "nvidia-l4t-camera", "nvidia-l4t-core", "nvidia-l4t-gstreamer", "nvidia-l4t-multimedia",
    "python3-libnvinfer", "libnvinfer[0-9]*", "cuda-cudart-[0-9]*", "libopencv-python", "python3-opencv",
    "libgstreamer1.0-0", "mosquitto", "polkitd", "systemd",
)  # fmt: skip
PACKAGES = (
    "jetson-stats", "korsal-edge", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "opencv-contrib-python",
    "opencv-python", "opencv-python-headless", "paho-mqtt", "pillow", "prometheus-client", "psutil", "pydantic",
    "pydantic-core", "tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx", "torch",
)  # fmt: skip
SECONDS = 20.0  # that dpkg may take


def system(root: Path = Path("/")) -> Iterator[str]:
    """Operating system, board, Python. `root`: where their files are."""
    yield f"korsal-edge {__version__}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()}), {platform.machine()}"
    yield f"kernel {platform.system()} {platform.release()}"
    for name, path in (("system", RELEASE), ("board", MODEL), ("L4T", L4T_RELEASE)):
        if text := _first_line(root / path.relative_to("/"), "PRETTY_NAME=" if path == RELEASE else ""):
            yield f"{name} {text}"
    memory, swap = psutil.virtual_memory().total >> 20, psutil.swap_memory().total >> 20
    yield f"{os.cpu_count()} cores, {memory} MiB of memory, {swap} MiB of swap"
    if mode := jetson_sysfs.read(SensorReading("sysfs"), root).mode:
        yield f"power mode {mode}"


def packages() -> Iterator[str]:
    """Packages of Python, then those of Debian, that decide what works."""
    for name in PACKAGES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    for line in _dpkg():
        yield f"{line} (Debian)"


def opencv() -> Iterator[str]:
    """OpenCV's own description of how it was built, without the compiler's flags."""
    yield f"from {cv2.__file__}"
    yield from (line for line in cv2.getBuildInformation().splitlines() if line.strip() and " flags (" not in line)


def gstreamer() -> Iterator[str]:
    """Which of the elements that pipelines use are installed. Creates each of them: a driver may hang."""
    found = known_elements()
    missing = [name for name in ELEMENTS if name not in found]
    yield f"installed: {', '.join(sorted(found)) or 'none, or no GStreamer'}"
    yield f"missing: {', '.join(missing) or 'none'}"


def nvidia() -> Iterator[str]:
    """ONNX Runtime's providers, CUDA's driver and its runtimes, TensorRT."""
    yield _providers()
    for library in libraries():
        cuda = Cuda(library)
        try:
            driver, runtime = version_text(cuda.driver_version()), version_text(cuda.runtime_version())
            yield f"CUDA driver {driver}, runtime {runtime} {library.path}".rstrip()
        except CudaError as error:
            yield f"CUDA runtime {library.path}: {error}"
    try:
        trt, cuda = bindings()
        device = cuda.device()
        yield f"TensorRT {trt.__version__} on {device.name}, {version_text(device.compute_capability)}"
    except (TensorRtError, CudaError) as error:
        yield str(error)


def _providers() -> str:
    """What ONNX Runtime could run a model on."""
    try:
        import onnxruntime
    except ImportError as error:
        return f"ONNX Runtime cannot be loaded ({error})"
    return f"ONNX Runtime's providers: {', '.join(onnxruntime.get_available_providers())}"


def _first_line(path: Path, beginning: str) -> str:
    """What follows `beginning` in the first line that has it; "" where there is none."""
    try:
        lines = path.read_text(errors="replace").replace("\0", "").splitlines()
    except OSError:
        return ""
    found = next((line.removeprefix(beginning) for line in lines if line.startswith(beginning)), "")
    return found.strip().strip('"')


def _dpkg() -> list[str]:
    """Name and version of the installed ones of DEBIAN; [] without dpkg."""
    command = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n", *DEBIAN]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if " " in line.strip()]
