"""TensorRT's builder: one ONNX becomes a serialised engine. Shell.

Only calls that all bindings from 8.6 to 11 and `tensorrt_rtx` have are made, but for what is tested for by name.
"""

import logging
from pathlib import Path
from typing import Any, NoReturn

from edge import files
from edge.engines import engine_tensors
from edge.engines.build_progress import BuildProgress, monitor
from edge.engines.tensorrt_build_plan import BuildOptions, BuildPlan, remedy_for
from edge.engines.tensorrt_constraints import keep_preprocessing_exact
from edge.engines.tensorrt_log import TensorRtLog
from edge.graph_inference import ANY_SIZE, LARGEST_FRAME, USUAL_FRAME
from edge.manifest import Manifest

log = logging.getLogger(__name__)

MEMORY_WORDS = ("memory", "alloc")
MEMORY_REMEDY = "end other programs that use the GPU, or build with a smaller workspace or batch"
GPU_REMEDY = "check that the NVIDIA driver is loaded and that this user is in the group `video`, or build on the Jetson"


class EngineBuildError(Exception):
    """An engine that was not built; an earlier one in its place is untouched."""


class RefusedError(EngineBuildError):
    """TensorRT does not build that file: it would not the next time either."""


class ShortOfMemoryError(EngineBuildError):
    """A build that lacked memory, which may be free another time."""


class TensorRtBuilder:
    """One build: what all its steps need."""

    def __init__(self, trt: Any, onnx: Path, plan: BuildPlan, options: BuildOptions) -> None:
        self._trt = trt
        self._onnx = onnx
        self._plan = plan
        self._options = options
        self._log = TensorRtLog(trt)

    @property
    def messages(self) -> list[str]:
        """What TensorRT has reported so far, verbose messages left out, the middle of many too."""
        return self._log.messages.lines()

    def run(
        self, content: bytes, manifest: Manifest, timing_cache: Path | None, progress: BuildProgress | None
    ) -> bytes:
        """The ONNX's content as a serialised engine."""
        builder = self._builder()
        network = self._network(builder, content)
        self._check(network, manifest)
        if self._plan.constrained:
            keep_preprocessing_exact(self._trt, network)
        config = self._config(builder, network, manifest)
        if timing_cache is not None:
            _use_timings(config, timing_cache)
        monitoring = monitor(self._trt, progress) if progress is not None else None
        if monitoring is not None:
            config.progress_monitor = monitoring.sink
        self._log.clear()
        serialized = builder.build_serialized_network(network, config)
        if monitoring is not None and monitoring.raised is not None:
            raise monitoring.raised
        if serialized is None:
            kind, remedy = (ShortOfMemoryError, MEMORY_REMEDY) if self._is_memory() else (RefusedError, remedy_for(""))
            self._fail("did not build it", remedy, kind)
        if timing_cache is not None:
            _keep_timings(config, timing_cache)
        return bytes(serialized)

    def _builder(self) -> Any:
        if hasattr(self._trt, "init_libnvinfer_plugins"):  # operators that are not built in: deformable convolution
            self._trt.init_libnvinfer_plugins(self._log.sink, "")
        try:
            return self._trt.Builder(self._log.sink)
        except (TypeError, RuntimeError):  # raised by the bindings where there is no builder
            self._fail("does not start", GPU_REMEDY)

    def _network(self, builder: Any, content: bytes) -> Any:
        kinds = self._trt.NetworkDefinitionCreationFlag
        network = builder.create_network(sum(1 << int(getattr(kinds, name)) for name in self._plan.network_flags))
        parser = self._trt.OnnxParser(network, self._log.sink)
        if not parser.parse(content):
            faults = "; ".join(_parser_fault(parser.get_error(index)) for index in range(parser.num_errors))
            self._log.clear()  # they say the same
            self._fail(f"refuses it: {faults or 'without a reason'}", remedy_for(faults), RefusedError)
        return network

    def _check(self, network: Any, manifest: Manifest) -> None:
        """The network must match its manifest."""
        part = self._options.part
        expected = {name: shape[1:] for name, shape in engine_tensors.inputs(manifest, part, 1, ANY_SIZE).items()}
        tensors = [network.get_input(index) for index in range(network.num_inputs)]
        inputs = {tensor.name: tuple(tensor.shape)[1:] for tensor in tensors}
        outputs = [network.get_output(index).name for index in range(network.num_outputs)]
        absent = [name for name in engine_tensors.outputs(manifest, part, 1) if name not in outputs]
        if inputs != expected or absent:
            found = f"its input is {inputs}" if inputs != expected else f"it has no output {absent[0]}"
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
            self._set_target(config)
        if any(-1 in network.get_input(index).shape for index in range(network.num_inputs)):
            self._add_profile(builder, config, manifest)
        return config

    def _add_profile(self, builder: Any, config: Any, manifest: Manifest) -> None:
        """Allow batches from 1 to the largest, tuned for the largest: smaller ones have time to spare.

        Frames may have any size up to LARGEST_FRAME, tuned for USUAL_FRAME.
        """
        profile, largest = builder.create_optimization_profile(), self._options.max_batch
        limits = (1, (1, 1)), (largest, USUAL_FRAME), (largest, LARGEST_FRAME)
        part = self._options.part
        low, usual, high = (engine_tensors.inputs(manifest, part, batch, size) for batch, size in limits)
        for name in low:
            profile.set_shape(name, low[name], usual[name], high[name])
        if config.add_optimization_profile(profile) < 0:
            self._fail(f"refuses batches of 1 to {largest}", "build for another --max-batch")

    def _set_target(self, config: Any) -> None:
        """Build for a GPU that is not here, which only TensorRT-RTX can do."""
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

    def _fail(self, what: str, remedy: str, kind: type[EngineBuildError] = EngineBuildError) -> NoReturn:
        raise kind(f"{self._onnx}: TensorRT {self._trt.__version__} {what}{self._log.first_error}; {remedy}")


def _parser_fault(error: Any) -> str:
    """One error of the parser, whole, in a line. TensorRT 8.6 knows the operator only in its description."""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    name = error.node_name() if hasattr(error, "node_name") else ""
    what = " ".join(str(error.desc()).split())
    if operator:
        return f"operator {operator} of layer {name or error.node()}: {what}"
    return f"node {error.node()}: {what}" if error.node() >= 0 else what


def _use_timings(config: Any, path: Path) -> None:
    """Give the builder the timings of earlier builds; an empty cache where there is none that it accepts."""
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _keep_timings(config: Any, path: Path) -> None:
    """Keep the timings for the next build; without them it only takes longer."""
    try:
        files.write_atomically(path, bytes(config.get_timing_cache().serialize()))
    except OSError as error:
        log.warning("%s: the builder's timings cannot be kept (%s); the next build takes longer", path, error.strerror)
