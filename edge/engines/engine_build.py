"""TensorRT's builder: an ONNX becomes an engine and a record beside it, both whole or not at all. Shell.

The bindings come in as a value: `tensorrt` from 8.6 to 11, or `tensorrt_rtx`, which can build without a GPU. Only
calls that all of them have are made, but for what is asked by feature.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from edge import files
from edge import manifest as manifests
from edge.engines import engine_files, onnx_metadata
from edge.engines.build_plan import (
    BuildOptions,
    BuildPlan,
    Members,
    PlanError,
    Platform,
    Precision,
    as_precision,
    cure_of,
    known_members,
    l4t_version,
    parse_version,
    plan_build,
)
from edge.engines.build_progress import BuildProgress, monitor
from edge.engines.cuda_runtime import CudaDevice
from edge.engines.engine_record import EngineRecord
from edge.engines.onnx_metadata import OnnxMetadataError
from edge.engines.tensorrt_log import TensorRtLog
from edge.manifest import INPUT, OUTPUTS, Manifest, ManifestError, input_shape

log = logging.getLogger(__name__)

L4T_RELEASE = Path("/etc/nv_tegra_release")
MEMORY_WORDS = ("memory", "alloc")
MEMORY_CURE = "end other programs that use the GPU, or build with a smaller workspace or batch"
GPU_CURE = "see that the NVIDIA driver is loaded and that this user is in the group `video`, or build on the Jetson"


class EngineBuildError(Exception):
    """An engine that was not built; what was at its place is there still."""


def build(
    trt: Any,
    onnx: Path,
    target: Path,
    options: BuildOptions | None = None,
    platform: Platform | None = None,
    timing_cache: Path | None = None,
    progress: BuildProgress | None = None,
) -> EngineRecord:
    """Build the ONNX at `onnx` with the bindings `trt` into the engine `target`. Raises EngineBuildError.

    `timing_cache` is read and written anew: it shortens the next build of a network like this. `progress` is told
    of every step, where TensorRT tells it (since 10); what it raises ends the build and comes through.
    """
    content, manifest = read_model(onnx)
    options = BuildOptions() if options is None else options
    plan = plan_for(onnx, manifest, str(trt.__version__), options.precision, _members(trt))

    def make() -> tuple[bytes, EngineRecord]:
        serialized = _Job(trt, onnx, plan, options).run(content, manifest, timing_cache, progress)
        return serialized, EngineRecord(
            replace(manifest, precision=plan.precision),
            plan.precision,
            platform or platform_of(trt, None),
            replace(options, precision=plan.precision),
            hashlib.sha256(content).hexdigest(),
            hashlib.sha256(serialized).hexdigest(),
        )

    return store(target, make)


def store(target: Path, make: Callable[[], tuple[bytes, EngineRecord]]) -> EngineRecord:
    """Write what `make` builds, an engine and its record, to `target`. Raises EngineBuildError and what `make` raises.

    Whether the place can be written shows before the long build; what lies there stays until both are whole.
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
        engine_files.forget(partial)
    return record


def platform_of(trt: Any, device: CudaDevice | None, release: Path = L4T_RELEASE) -> Platform:
    """What an engine built here depends on; `device` is None where CUDA does not tell."""
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
    except OnnxMetadataError as error:
        raise EngineBuildError(f"{onnx}: {error}; export it again") from error
    if text is None:
        raise EngineBuildError(f"{onnx}: has no korsal-edge manifest; export it with korsal-convert export")
    try:
        return content, manifests.from_json(text)
    except ManifestError as error:
        raise EngineBuildError(f"{onnx}: {error}") from error


def plan_for(
    onnx: Path, manifest: Manifest, version: str, precision: Precision | None, members: Members | None = None
) -> BuildPlan:
    """How a TensorRT builds that ONNX; without the members of its enums, those that are known of that version.

    Raises EngineBuildError where it cannot, or not from this ONNX.
    """
    if _is_for_cpus(manifest):
        raise EngineBuildError(f"{onnx}: is quantised for CPUs; quantise it with korsal-convert quantize for TensorRT")
    try:
        wanted, number = precision or as_precision(manifest.precision), parse_version(version)
        plan = plan_build(number, wanted, members or known_members(number))
    except PlanError as error:
        raise EngineBuildError(f"{onnx}: {error}") from error
    if manifest.precision not in plan.onnx:
        raise EngineBuildError(
            f"{onnx}: is {manifest.precision}, and TensorRT {version} builds {wanted} only from an ONNX "
            f"that is {plan.onnx[0]} itself; make one with korsal-convert quantize"
        )
    return plan


def _is_for_cpus(manifest: Manifest) -> bool:
    """Unsigned activations and int32 biases, as korsal-convert quantises for ONNX Runtime."""
    quantisation = manifest.training.get("quantisation")
    return isinstance(quantisation, dict) and quantisation.get("target") == "cpu"


def _members(trt: Any) -> Members:
    names = ("NetworkDefinitionCreationFlag", "BuilderFlag")
    return {name: [member for member in dir(getattr(trt, name)) if member.isupper()] for name in names}


class _Job:
    """One build: what all its steps need."""

    def __init__(self, trt: Any, onnx: Path, plan: BuildPlan, options: BuildOptions) -> None:
        self._trt = trt
        self._onnx = onnx
        self._plan = plan
        self._options = options
        self._log = TensorRtLog(trt)

    def run(
        self, content: bytes, manifest: Manifest, timing_cache: Path | None, progress: BuildProgress | None
    ) -> bytes:
        """The ONNX's content as a serialised engine."""
        builder = self._builder()
        network = self._network(builder, content)
        self._check(network, manifest)
        config = self._config(builder, network, manifest)
        if timing_cache is not None:
            _use_timings(config, timing_cache)
        told = monitor(self._trt, progress) if progress is not None else None
        if told is not None:
            config.progress_monitor = told.sink
        self._log.clear()
        serialized = builder.build_serialized_network(network, config)
        if told is not None and told.raised is not None:
            raise told.raised
        if serialized is None:
            self._fail("did not build it", MEMORY_CURE if self._is_memory() else cure_of(""))
        if timing_cache is not None:
            _keep_timings(config, timing_cache)
        return bytes(serialized)

    def _builder(self) -> Any:
        if hasattr(self._trt, "init_libnvinfer_plugins"):  # operators that are not built in, deformable convolution
            self._trt.init_libnvinfer_plugins(self._log.sink, "")
        try:
            return self._trt.Builder(self._log.sink)
        except (TypeError, RuntimeError):  # what the bindings make of a builder that is none
            self._fail("does not start", GPU_CURE)

    def _network(self, builder: Any, content: bytes) -> Any:
        kinds = self._trt.NetworkDefinitionCreationFlag
        network = builder.create_network(sum(1 << int(getattr(kinds, name)) for name in self._plan.network_flags))
        parser = self._trt.OnnxParser(network, self._log.sink)
        if not parser.parse(content):
            faults = "; ".join(_parser_fault(parser.get_error(index)) for index in range(parser.num_errors))
            self._log.clear()  # it says the same
            self._fail(f"refuses it: {faults or 'without a reason'}", cure_of(faults))
        return network

    def _check(self, network: Any, manifest: Manifest) -> None:
        """The network must be what its manifest says."""
        wanted = {INPUT: input_shape(manifest, 1)[1:]}
        tensors = [network.get_input(index) for index in range(network.num_inputs)]
        inputs = {tensor.name: tuple(tensor.shape)[1:] for tensor in tensors}
        outputs = [network.get_output(index).name for index in range(network.num_outputs)]
        absent = [name for name in OUTPUTS if name not in outputs]
        if inputs != wanted or absent:
            found = f"its input is {inputs}" if inputs != wanted else f"it has no output {absent[0]}"
            raise EngineBuildError(f"{self._onnx}: {found}, unlike its manifest; export it again")
        batch = tensors[0].shape[0]
        if batch not in (-1, self._options.max_batch):
            raise EngineBuildError(f"{self._onnx}: takes only batches of {batch}; build it for that")

    def _config(self, builder: Any, network: Any, manifest: Manifest) -> Any:
        config = builder.create_builder_config()
        for name in self._plan.builder_flags:
            config.set_flag(getattr(self._trt.BuilderFlag, name))
        config.set_memory_pool_limit(self._trt.MemoryPoolType.WORKSPACE, self._options.workspace_bytes)
        if self._options.target:
            self._aim(config)
        if network.get_input(0).shape[0] == -1:
            self._add_profile(builder, config, manifest)
        return config

    def _add_profile(self, builder: Any, config: Any, manifest: Manifest) -> None:
        """Batches from 1 to the largest, tuned for the largest: smaller ones have time to spare."""
        profile = builder.create_optimization_profile()
        smallest, largest = (input_shape(manifest, batch) for batch in (1, self._options.max_batch))
        profile.set_shape(INPUT, smallest, largest, largest)
        if config.add_optimization_profile(profile) < 0:
            self._fail(f"refuses batches of 1 to {self._options.max_batch}", "build for another --max-batch")

    def _aim(self, config: Any) -> None:
        """At a GPU that is not here, which only TensorRT-RTX can do."""
        known = [name for name in dir(getattr(self._trt, "ComputeCapability", None)) if name.startswith("SM")]
        if self._options.target not in known:
            raise EngineBuildError(
                f"{self._onnx}: TensorRT {self._trt.__version__} cannot build for {self._options.target}; "
                f"it knows {', '.join(known) or 'only the GPU that is here'}"
            )
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(self._trt.ComputeCapability, self._options.target), 0)

    def _is_memory(self) -> bool:
        return any(word in self._log.first_error.lower() for word in MEMORY_WORDS)

    def _fail(self, what: str, cure: str) -> NoReturn:
        raise EngineBuildError(f"{self._onnx}: TensorRT {self._trt.__version__} {what}{self._log.first_error}; {cure}")


def _parser_fault(error: Any) -> str:
    """One error of the parser, whole, in a line. TensorRT 8.6 knows the operator only in its description."""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    what = " ".join(str(error.desc()).split())
    if operator:
        return f"operator {operator} of layer {name or error.node()}: {what}"
    return f"node {error.node()}: {what}" if error.node() >= 0 else what


def _use_timings(config: Any, path: Path) -> None:
    """Give the builder what earlier builds measured; an empty cache where there is none, or none that it takes."""
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _keep_timings(config: Any, path: Path) -> None:
    """For the next build; without them it only takes longer."""
    try:
        files.write_atomically(path, bytes(config.get_timing_cache().serialize()))
    except OSError as error:
        log.warning("%s: the builder's timings were not kept (%s); the next build takes longer", path, error.strerror)


def _unwritable(target: Path, error: OSError) -> EngineBuildError:
    return EngineBuildError(
        f"{target}: cannot be written ({error.strerror}); free space on the disk or choose another place"
    )
