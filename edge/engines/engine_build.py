"""An ONNX model becomes a TensorRT engine and a record beside it, both whole or not at all. Shell.

The bindings come in as a value: `tensorrt` from 8.6 to 11, or `tensorrt_rtx`, which can build without a GPU.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import files
from edge import manifest as manifests
from edge.engines import engine_files, memory_file, onnx_metadata
from edge.engines.build_progress import BuildProgress
from edge.engines.cuda_runtime import CudaDevice
from edge.engines.engine_record import EngineRecord
from edge.engines.memory_file import MemoryFileError, memory_path
from edge.engines.onnx_network import without_preprocessing
from edge.engines.onnx_parts import clip_part, detector_part
from edge.engines.protobuf import ProtobufError
from edge.engines.tensorrt_build_plan import (
    BuildOptions,
    BuildPlan,
    Members,
    ModelPart,
    PlanError,
    Platform,
    Precision,
    as_precision,
    known_members,
    l4t_version,
    parse_version,
    plan_build,
)
from edge.engines.tensorrt_builder import EngineBuildError, TensorRtBuilder
from edge.manifest import Manifest, ManifestError

log = logging.getLogger(__name__)

L4T_RELEASE = Path("/etc/nv_tegra_release")


def build(
    trt: Any,
    onnx: Path,
    target: Path,
    options: BuildOptions | None = None,
    platform: Platform | None = None,
    timing_cache: Path | None = None,
    progress: BuildProgress | None = None,
    build_log: Path | None = None,
) -> EngineRecord:
    """Build the ONNX at `onnx` with the bindings `trt` into the engine `target`. Raises EngineBuildError.

    `timing_cache` is read and rewritten: it shortens the next build of a similar network. `progress` is called at every
    step, which TensorRT reports since 10; what it raises ends the build and propagates. `build_log` gets what TensorRT
    reports of this build, whether it succeeds or not. Of a model in two parts `options.part` says which is built.
    """
    content, manifest = read_model(onnx)
    source = onnx
    onnx_sha256 = hashlib.sha256(content).hexdigest()
    options = BuildOptions() if options is None else options
    if options.preprocessing == "outside" and manifest.preprocessing == "graph":
        content, manifest = _network_of(onnx, content, manifest)
    if options.part == "memory":
        source, content, manifest = _memory_of(onnx, manifest)
    elif options.part == "clip" or manifest.clip is not None:
        content = _part_of(onnx, content, manifest, options.part)
    plan = plan_for(source, manifest, str(trt.__version__), options.precision, members_of(trt))

    def make() -> tuple[bytes, EngineRecord]:
        builder = TensorRtBuilder(trt, source, plan, options)
        try:
            serialized = builder.run(content, manifest, timing_cache, progress)
        finally:
            if build_log is not None:
                _keep_log(build_log, [f"{source.name}, TensorRT {trt.__version__}, {options}", *builder.messages])
        return serialized, EngineRecord(
            replace(manifest, precision=plan.precision),
            plan.precision,
            platform or platform_of(trt, None),
            replace(options, precision=plan.precision),
            onnx_sha256,
            hashlib.sha256(serialized).hexdigest(),
        )

    return store(target, make)


def store(target: Path, make: Callable[[], tuple[bytes, EngineRecord]]) -> EngineRecord:
    """Write what `make` builds, an engine and its record, to `target`. Raises EngineBuildError and what `make` raises.

    Whether `target` can be written is known before the long build; an existing engine stays until both are complete.
    """
    try:
        partial = engine_files.reserve(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        serialized, record = make()
        engine_files.write(serialized, record, partial, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        engine_files.discard(partial)
    return record


def platform_of(trt: Any, device: CudaDevice | None, release: Path = L4T_RELEASE) -> Platform:
    """What an engine built here depends on; `device` is None without CUDA."""
    try:
        l4t = l4t_version(release.read_text(errors="replace"))
    except OSError:  # no Jetson
        l4t = ""
    if device is None:
        return Platform(str(trt.__version__), l4t=l4t)
    capability, cuda = (".".join(map(str, pair)) for pair in (device.compute_capability, device.driver))
    return Platform(str(trt.__version__), device.name, capability, l4t, cuda)


def read_model(onnx: Path) -> tuple[bytes, Manifest]:
    """The file's content and the manifest in it. Raises EngineBuildError."""
    try:
        content = onnx.read_bytes()
    except OSError as error:
        raise EngineBuildError(
            f"{onnx}: cannot be read ({error.strerror}); give an ONNX file that korsal-convert wrote"
        ) from error
    if fault := onnx_metadata.fault(content):
        raise EngineBuildError(f"{onnx}: {fault}")
    try:
        text = onnx_metadata.read(content).get(manifests.METADATA_KEY)
    except ProtobufError as error:
        raise EngineBuildError(f"{onnx}: {error}; export it again") from error
    if text is None:
        raise EngineBuildError(f"{onnx}: has no korsal-edge manifest; export it with korsal-convert export")
    try:
        return content, manifests.from_json(text)
    except ManifestError as error:
        raise EngineBuildError(f"{onnx}: {error}") from error


def _network_of(onnx: Path, content: bytes, manifest: Manifest) -> tuple[bytes, Manifest]:
    try:
        return without_preprocessing(content, manifest)
    except ProtobufError as error:
        raise EngineBuildError(f"{onnx}: {error}; export it again") from error


def _part_of(onnx: Path, content: bytes, manifest: Manifest, part: ModelPart) -> bytes:
    """One of the two networks of a model that sees clips."""
    if manifest.clip is None:
        raise EngineBuildError(f"{onnx}: sees no clips; build the model itself")
    try:
        return clip_part(content) if part == "clip" else detector_part(content)
    except ProtobufError as error:
        raise EngineBuildError(f"{onnx}: {error}; export it again") from error


def _memory_of(onnx: Path, manifest: Manifest) -> tuple[Path, bytes, Manifest]:
    """The memory's file, its content, and the detector's manifest as the engine of its memory has it: in FP32."""
    if manifest.memory is None:
        raise EngineBuildError(f"{onnx}: has no memory; build the model itself")
    try:
        content = memory_file.read(onnx, manifest.memory)
    except MemoryFileError as error:
        raise EngineBuildError(str(error)) from error
    return (
        memory_path(onnx, manifest.memory),
        content,
        replace(manifest, precision="fp32", preprocessing="outside", training={}),
    )


def plan_for(
    onnx: Path, manifest: Manifest, version: str, precision: Precision | None, members: Members | None = None
) -> BuildPlan:
    """How that TensorRT version builds the ONNX. Raises EngineBuildError where it cannot, or not from this ONNX.

    `members`: of its enums; None: those that are known of the version.
    """
    if _is_for_cpus(manifest):
        raise EngineBuildError(f"{onnx}: is quantised for CPUs; quantise it with korsal-convert quantize for TensorRT")
    try:
        requested, number = precision or as_precision(manifest.precision), parse_version(version)
        plan = plan_build(number, requested, members or known_members(number), manifest.preprocessing)
    except PlanError as error:
        raise EngineBuildError(f"{onnx}: {error}") from error
    if manifest.precision not in plan.onnx:
        raise EngineBuildError(
            f"{onnx}: is {manifest.precision}, and TensorRT {version} builds {requested} only from an ONNX "
            f"that is {plan.onnx[0]} itself; make one with korsal-convert quantize"
        )
    return plan


def _is_for_cpus(manifest: Manifest) -> bool:
    """Whether it has unsigned activations and int32 biases, as korsal-convert quantises for ONNX Runtime."""
    return manifests.quantisation(manifest).get("target") == "cpu"


def members_of(trt: Any) -> Members:
    """The members of the enums by which `plan_build` decides."""
    names = ("NetworkDefinitionCreationFlag", "BuilderFlag")
    return {name: [member for member in dir(getattr(trt, name)) if member.isupper()] for name in names}


def _keep_log(path: Path, lines: Sequence[str]) -> None:
    """Write what TensorRT has reported; a disk that refuses costs this alone."""
    try:
        files.write_atomically(path, "\n".join([*lines, ""]).encode("utf-8", "replace"))
    except OSError as error:
        log.warning("%s: the log of this build cannot be written (%s)", path, error.strerror)


def _unwritable(target: Path, error: OSError) -> EngineBuildError:
    return EngineBuildError(
        f"{target}: cannot be written ({error.strerror}); free space on the disk or choose another place"
    )
