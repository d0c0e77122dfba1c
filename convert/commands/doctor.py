"""`korsal-convert doctor`: what each command needs, what of it is here, and how to get the rest. Shell.

It imports nothing at its top that may be missing.
"""

import importlib
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from edge import packages
from edge.doctor.finding import Finding, ok, warning, wrong
from edge.terminal.arguments import Parser

DISTRIBUTIONS = {"cv2": ("opencv-python-headless", "opencv-python"), "modelopt": ("nvidia-modelopt",)}
LINKING = ("checkpoint", "export", "quantize", "check", "convert")  # they read videos and compare events
NEEDED_BY = {
    "numpy": (*LINKING, "build", "torch2trt"),
    "cv2": (*LINKING, "build"),
    "lap": LINKING,
    "onnx": (*LINKING, "torch2trt"),
    "onnxruntime": LINKING,
    "torch": (*LINKING, "torch2trt"),
    "tensorrt": ("build", "torch2trt"),
    "torch2trt": ("torch2trt",),
    "onnx_graphsurgeon": ("torch2trt",),
    "modelopt": ("modelopt",),
}
TITLES = {
    "torch2trt": "build --backend torch2trt",
    "modelopt": "quantize --quantizer modelopt",
    "convert": "korsal-convert WEIGHTS",
}
COMMANDS = (*LINKING, "build", "torch2trt", "modelopt")
GPU_COMMANDS = ("build", "torch2trt")
BROKEN = (ImportError, OSError, RuntimeError, AttributeError)  # what a package that is there raises as it is imported


@dataclass(frozen=True)
class Need:
    """The state of one thing, and the commands that need it; `missing` is a sentence, "" where it is here."""

    subject: str
    commands: tuple[str, ...]
    present: str
    missing: str = ""


def main(given: Sequence[str]) -> int:
    """Print a line for each thing; 1 where one is missing that a requested command needs."""
    options = _parser().parse_args(given)
    requested = tuple(options.commands) or LINKING
    findings = [finding(need, requested) for need in needs()]
    for one in findings:
        print(one.line(), flush=True)
    lacking = [one.subject for one in findings if one.level == "wrong"]
    result = f"{len(lacking)} missing ({', '.join(lacking)})" if lacking else "all is here"
    print(f"for {_titles(requested)}: {result}")
    return int(bool(lacking))


def finding(need: Need, requested: Sequence[str]) -> Finding:
    """The line about one thing: wrong where a requested command lacks it, a warning where another one does."""
    users = f"for {_titles(need.commands)}"
    if not need.missing:
        return ok(need.subject, f"{need.present}, {users}")
    if set(need.commands) & set(requested):
        return wrong(need.subject, f"is missing {users}", need.missing)
    return warning(need.subject, f"is missing {users}", need.missing)


def _titles(commands: Sequence[str]) -> str:
    return ", ".join(TITLES.get(name, name) for name in commands)


def needs(load: Callable[[str], object] = importlib.import_module) -> Iterator[Need]:
    """Everything that the commands need; `load` imports a module."""
    for module, commands in NEEDED_BY.items():
        yield _package(module, commands, load)
    yield _gpu()
    yield _torch_gpu(load)
    yield _torch2trt_fits(load)


def _package(module: str, commands: tuple[str, ...], load: Callable[[str], object]) -> Need:
    """Whether a module can be imported, and its version."""
    name = packages.title(module)
    if module not in sys.modules and find_spec(module) is None:
        return Need(name, commands, "", packages.remedy(module))
    try:
        loaded = load(module)
    except BROKEN as error:
        return Need(name, commands, "", f"it is there but cannot be loaded ({error}): {packages.remedy(module)}")
    return Need(name, commands, _version(module, loaded))


def _version(module: str, loaded: object) -> str:
    if version := getattr(loaded, "__version__", ""):
        return str(version)
    for distribution in DISTRIBUTIONS.get(module, (module,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "of an unknown version"


def _gpu() -> Need:
    """The GPU as CUDA's runtime finds it."""
    subject = "CUDA and GPU"
    try:
        from edge.engines import cuda_runtime
    except ModuleNotFoundError as error:
        return Need(subject, GPU_COMMANDS, "", packages.sentence(error))
    try:
        device = cuda_runtime.installed().device()
    except cuda_runtime.CudaError as error:
        return Need(subject, GPU_COMMANDS, "", str(error))
    driver, runtime = (cuda_runtime.version_text(one) for one in (device.driver, device.runtime))
    return Need(subject, GPU_COMMANDS, f"{device.name}, driver {driver}, runtime {runtime}")


def _torch_gpu(load: Callable[[str], object]) -> Need:
    """Whether torch computes on the GPU, which torch2trt needs."""
    subject, commands = "torch with CUDA", ("torch2trt",)
    cure = "install torch as NVIDIA makes it for this JetPack, or build without it: --backend tensorrt"
    try:
        available = load("torch").cuda.is_available()  # type: ignore[attr-defined]  # a module
    except BROKEN:
        return Need(subject, commands, "", cure)
    return Need(subject, commands, "finds a GPU") if available else Need(subject, commands, "", f"finds no GPU: {cure}")


def _torch2trt_fits(load: Callable[[str], object]) -> Need:
    """Whether torch2trt fits the TensorRT and is new enough."""
    subject, commands = "torch2trt with this TensorRT", ("torch2trt",)
    try:
        from convert import torch2trt_build

        torch2trt_build.installed(load("tensorrt"))
    except BROKEN as error:
        return Need(subject, commands, "", f"cannot be judged ({error}); see above")
    except torch2trt_build.Torch2TrtError as error:
        return Need(subject, commands, "", str(error))
    return Need(subject, commands, "fit")


def _parser() -> Parser:
    parser = Parser(
        prog="korsal-convert doctor", description="What each command needs, what is here, and how to get the rest."
    )
    parser.add_argument(
        "commands",
        nargs="*",
        type=_command,
        metavar="COMMAND",
        help=f"make the exit status that of these: {', '.join(COMMANDS)}; default: all that need no GPU",
    )
    return parser


def _command(text: str) -> str:
    if text not in COMMANDS:
        raise ArgumentTypeError(f"{text}: choose among {', '.join(COMMANDS)}")
    return text
