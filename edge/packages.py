"""Packages that may be missing, and the one sentence that all commands say then: what brings each. Shell."""

from importlib.util import find_spec

OWN = ("edge", "train", "convert")
USUAL = "run install.sh again, or pip install korsal-edge with its dependencies"
# Without their dependencies: those name onnxruntime-gpu, which would overwrite onnxruntime, and an older onnx.
MODELOPT = (
    "pip install --no-deps nvidia-modelopt onnx-graphsurgeon onnxconverter-common onnxslim polygraphy onnxscript "
    "onnx-ir lief nvidia-ml-py"
)
_REMEDIES = {  # by module: what people call it, and what brings it; all others come with korsal-edge
    "ai_edge_litert": ("ai-edge-litert", "pip install 'korsal-edge[movinet]'"),
    "aiohttp": ("aiohttp", "pip install 'korsal-edge[web]'"),
    "argon2": ("argon2-cffi", "pip install 'korsal-edge[web]'"),
    "av": ("PyAV", "pip install 'korsal-edge[clips]'"),
    "cv2": ("OpenCV", "pip install 'korsal-edge[cpu]', or on a Jetson take JetPack's own"),
    "distributed": ("Dask's distributed", "pip install 'korsal-edge[dask]', on all machines of the cluster"),
    "lap": ("lap", "pip install korsal-edge with its dependencies"),
    "matplotlib": ("matplotlib", "pip install 'korsal-edge[evaluate]'"),
    "modelopt": ("NVIDIA's Model Optimizer", MODELOPT),
    "onnx": ("onnx", "pip install 'korsal-edge[train]', or onnx alone where nothing is trained or exported"),
    "onnx_graphsurgeon": ("onnx_graphsurgeon", "pip install onnx-graphsurgeon"),
    "onnxruntime": ("onnxruntime", "pip install 'korsal-edge[cpu]'"),
    "scipy": ("SciPy", "pip install 'korsal-edge[evaluate]'"),
    "tensorrt": ("TensorRT's Python bindings", "sudo apt-get install python3-libnvinfer, as JetPack has it"),
    "torch": ("torch", "pip install 'korsal-edge[train]', on a PC: a device has no use for PyTorch"),
    "torch2trt": ("torch2trt", "install 0.5 or newer from https://github.com/NVIDIA-AI-IOT/torch2trt, by its README"),
}


class MissingPackageError(ImportError):
    """A package that is not installed; the message names the extra that brings it."""


def require(package: str) -> None:
    """MissingPackageError where one of the packages is not installed."""
    if find_spec(package) is None:
        raise missing(package)


def missing(package: str) -> MissingPackageError:
    """The error for one of the packages."""
    return MissingPackageError(f"{title(package)} is not installed: {remedy(package)}")


def title(package: str) -> str:
    """What people call the package of that module."""
    return _REMEDIES.get(package, (package, ""))[0]


def remedy(package: str) -> str:
    """What brings the package of that module."""
    return _REMEDIES.get(package, ("", USUAL))[1]


def sentence(error: ModuleNotFoundError) -> str:
    """What a command line says where an import failed; a module of our own that is missing is raised again."""
    package = (error.name or "").partition(".")[0]
    if package in ("", *OWN):
        raise error
    return str(missing(package))
