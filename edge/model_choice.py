"""Which file of a model, in which precision, runs on a device: INT8 where its GPU has it, else FP16, else FP32. Pure.

The files of a model lie beside one another and hold the same weights; their manifests say so, not their names.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edge.engines.tensorrt_build_plan import Members, PlanError, Precision, Version, plan_build
from edge.manifest import WEIGHTS_KEY, Manifest, quantisation

FileKind = Literal["fp32", "fp16", "int8", "int8-fp16", "int8-cpu"]
DIFFERING = ("precision", "preprocessing", "training")  # keys of a manifest that files of one model may differ in
LEAST_INT8 = (6, 1)  # compute capability, from NVIDIA's table of hardware and precisions
NO_INT8 = ((6, 2),)
LEAST_FP16 = (5, 3)
NO_FP16 = ((6, 1),)
EXACTNESS: tuple[Precision, ...] = ("int8", "fp16", "fp32")
KINDS_ON_CPUS: dict[Precision, tuple[FileKind, ...]] = {
    "fp32": ("fp32",),
    "fp16": ("fp16",),
    "int8": ("int8-cpu", "int8", "int8-fp16"),
}
KINDS_ON_PROVIDERS = {**KINDS_ON_CPUS, "int8": ("int8-fp16", "int8", "int8-cpu")}  # TensorRT or CUDA in ONNX Runtime


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file with its manifest; `size` in bytes."""

    path: Path
    manifest: Manifest
    size: int


@dataclass(frozen=True)
class TensorRtDevice:
    """A TensorRT with the members of its enums, and its GPU's compute capability."""

    version: Version
    members: Members
    compute_capability: tuple[int, int]


@dataclass(frozen=True)
class OnnxRuntimeDevice:
    """ONNX Runtime, on a CPU or through the `providers` of a GPU."""

    providers: tuple[str, ...] = ()


Device = TensorRtDevice | OnnxRuntimeDevice


@dataclass(frozen=True)
class Candidate:
    """A file, and the precision to build from it; None: the file's own."""

    file: ModelFile
    precision: Precision | None = None

    @property
    def result(self) -> str:
        """The precision that will run."""
        return self.precision or self.file.manifest.precision


@dataclass(frozen=True)
class ModelChoice:
    """What to try in that order, and why the first is not what was asked for; "" where it is."""

    candidates: tuple[Candidate, ...]
    notice: str


def file_kind(manifest: Manifest) -> FileKind:
    """What a file holds and is for, beyond its precision."""
    if manifest.precision == "fp16":
        return "fp16"
    if manifest.precision != "int8":
        return "fp32"
    noted = quantisation(manifest)
    if noted.get("target") == "cpu":
        return "int8-cpu"
    return "int8-fp16" if noted.get("rest") == "fp16" else "int8"


def difference(one: Manifest, other: Manifest) -> str:
    """Why two files are not one model in two precisions; "" where they are."""
    ours, theirs = one.training.get(WEIGHTS_KEY), other.training.get(WEIGHTS_KEY)
    if not ours or not theirs:
        return "has no hash of its weights (older exports): convert it again"
    if ours != theirs:
        return "has other weights"
    first, second = _compared(one), _compared(other)
    differing = [key for key in first if first[key] != second.get(key)]
    return f"has another {differing[0].replace('_', ' ')}" if differing else ""


def has_fast_int8(capability: tuple[int, int]) -> bool:
    """Whether GPUs of that compute capability compute INT8 faster than FP16: Xavier, Orin and Thor do."""
    return capability >= LEAST_INT8 and capability not in NO_INT8


def has_fast_fp16(capability: tuple[int, int]) -> bool:
    """Whether GPUs of that compute capability compute FP16 faster than FP32."""
    return capability >= LEAST_FP16 and capability not in NO_FP16


def choose(
    named: ModelFile, siblings: Sequence[ModelFile], wanted: Precision | Literal["auto"], device: Device
) -> ModelChoice:
    """What to open where [model] path names `named`, `siblings` lie beside it, and [model] precision is `wanted`.

    There may be no candidate: TensorRT takes none of the files.
    """
    files = [named, *siblings]
    order = _distinct(_fastest_first(named, files, device))
    if wanted == "auto":
        return ModelChoice(order, "")
    preferred = list(_of_precision(files, wanted, device))
    candidates = _distinct([*preferred, *sorted(order, key=lambda one: _distance(one, wanted))])
    return ModelChoice(candidates, "" if preferred else _absent(named, wanted, candidates, device))


def _distinct(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple({(one.file.path, one.precision): one for one in candidates}.values())


def _fastest_first(named: ModelFile, files: Sequence[ModelFile], device: Device) -> Iterator[Candidate]:
    """All that this device can run, the best first; a file that is not FP32 was named on purpose."""
    if isinstance(device, OnnxRuntimeDevice):
        yield Candidate(named)
        return
    if file_kind(named.manifest) != "fp32":
        yield from _of_precision([named], _precision(named), device)
    capability = device.compute_capability
    if has_fast_int8(capability):
        yield from _of_precision(files, "int8", device)
    if has_fast_fp16(capability):
        yield from _of_precision(files, "fp16", device)
    yield from _of_precision(files, "fp32", device)


def _distance(candidate: Candidate, wanted: Precision) -> tuple[bool, int]:
    """A sort key: what is at least as exact as wanted comes first, then the nearest."""
    steps = EXACTNESS.index(_precision(candidate.file, candidate.precision)) - EXACTNESS.index(wanted)
    return steps < 0, abs(steps)


def _of_precision(files: Sequence[ModelFile], precision: Precision, device: Device) -> Iterator[Candidate]:
    """The ways to run that precision there, the best first."""
    for kind in _kinds(precision, device):
        for file in files:
            if file_kind(file.manifest) == kind:
                yield Candidate(file, None if file.manifest.precision == precision else precision)


def _kinds(precision: Precision, device: Device) -> Iterable[FileKind]:
    """The kinds of files from which that precision comes there, the best first."""
    if isinstance(device, OnnxRuntimeDevice):
        return (KINDS_ON_PROVIDERS if device.providers else KINDS_ON_CPUS)[precision]
    try:
        plan = plan_build(device.version, precision, device.members)
    except PlanError:
        return ()
    if precision == "int8":
        return ("int8-fp16", "int8") if plan.strongly_typed else ("int8",)
    return plan.onnx


def _precision(file: ModelFile, built: Precision | None = None) -> Precision:
    """That of a file, or the one that is `built` from it."""
    kind = file_kind(file.manifest)
    return built or ("fp32" if kind == "fp32" else "fp16" if kind == "fp16" else "int8")


def _absent(named: ModelFile, wanted: Precision, found: Sequence[Candidate], device: Device) -> str:
    """That no file has the requested precision, and how to make one."""
    stem, cpu = named.path.with_suffix(""), isinstance(device, OnnxRuntimeDevice) and not device.providers
    suffix = {"fp32": "", "fp16": "-fp16", "int8": "-int8-cpu" if cpu else "-int8"}[wanted]
    calibration = " --calibrate VIDEO" + " --target cpu" * cpu if wanted == "int8" else ""
    made = f"korsal-convert quantize {named.path} -o {stem}{suffix}.onnx --precision {wanted}{calibration}"
    cure = "name the FP32 file in model.path" if file_kind(named.manifest) != "fp32" else f"make one with {made}"
    runs = f"{found[0].result} runs" if found else "TensorRT cannot run it"
    return (
        f"model.precision is {wanted}, and neither {named.path} nor a file of the same weights beside it has it here: "
        f'{runs}; {cure}, or set model.precision = "auto"'
    )


def _compared(manifest: Manifest) -> dict[str, Any]:
    return {key: value for key, value in asdict(manifest).items() if key not in DIFFERING}
