"""The builder's side of the fake TensorRT: logger, network, parser, configuration, build."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("<4s12xQ4B4x")  # tag, length of the file, version at bytes 24 to 27
PRECISION_FLAGS = ("FP16", "INT8", "BF16", "FP8", "INT4", "FP4")
STEPS = 3  # of the one phase that a build reports


@dataclass(frozen=True)
class Fault:
    """An error of the parser. `node_name` and `node_operator` exist since TensorRT 10."""

    desc: str
    node: int = 0
    node_name: str = ""
    node_operator: str = ""
    code: int = 8
    file: str = "ModelImporter.cpp"
    func: str = "parseNode"
    line: int = 1
    local_function_stack: tuple[str, ...] = ()
    local_function_stack_size: int = 0


class Memory(bytes):
    """IHostMemory: read through the buffer protocol."""

    dtype = "INT8"

    @property
    def nbytes(self) -> int:
        return len(self)


class Logger:
    _subclassed = True
    _trt: Any
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)
    min_severity = 2

    def __init__(self, min_severity: int = 2) -> None:
        self.min_severity = min_severity
        self._ready = True

    def log(self, severity: int, msg: str) -> None:
        self._trt.record("Logger.log", severity, msg)


class ProgressMonitor:
    _subclassed = True

    def __init__(self) -> None:
        self._ready = True


class Tensor:
    _trt: Any
    name = ""
    shape: tuple[int, ...] = ()
    dtype: Any = None

    def __init__(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype_of(self._trt, dtype)


class Layer:
    _trt: Any

    def __init__(self, parsed: Any) -> None:
        self._name = parsed.name
        self._inputs, self._outputs = (
            [self._trt.ITensor(name, (), kind) for name, kind in tensors.items()]
            for tensors in (parsed.inputs, parsed.outputs)
        )
        self._precision: Any = None

    @property
    def name(self) -> str:
        return str(self._name)

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, kind: Any) -> None:
        self._trt.record("ILayer.precision", self._name, kind.name)
        self._precision = kind

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._trt.record("ILayer.set_output_type", self._name, index, dtype.name)

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        return self._outputs[index]


class Network:
    _trt: Any

    def __init__(self, flags: tuple[str, ...]) -> None:
        self._flags = flags
        self._parsed: Any = None  # the tests' Network
        self._layers: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_layer(self, index: int) -> Any:
        return self._layers[index]

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        return self._outputs[index]


class Parser:
    _trt: Any

    def __init__(self, network: Any, logger: Any) -> None:
        must_be_ready(logger)
        self._network, self._faults = network, list[Any]()

    def parse(self, model: bytes, path: str | None = None) -> bool:
        trt: Any = self._trt
        trt.record("OnnxParser.parse", bytes(model))
        faults = list(trt.faults_of(bytes(model)))
        if not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED") and not self._network._flags:
            faults.append(Fault("This version of the ONNX parser only supports networks with an explicit batch"))
        self._faults += [trt.ParserError(fault) for fault in faults]
        if not faults:
            self._network._parsed = parsed = trt.network_of(bytes(model))
            self._network._layers += [trt.ILayer(layer) for layer in parsed.layers]
            self._network._inputs += [trt.ITensor(n, *of) for n, of in parsed.inputs.items()]
            self._network._outputs += [trt.ITensor(n, *of) for n, of in parsed.outputs.items()]
        return not faults

    @property
    def num_errors(self) -> int:
        return len(self._faults)

    def get_error(self, index: int) -> Any:
        return self._faults[index]


def _error_part(name: str) -> Callable[[Any], Any]:
    return lambda self: getattr(self._fault, name)


class ParserError:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    code, desc, file, func = (_error_part(name) for name in ("code", "desc", "file", "func"))
    line, node = (_error_part(name) for name in ("line", "node"))
    node_name, node_operator = (_error_part(name) for name in ("node_name", "node_operator"))
    local_function_stack = _error_part("local_function_stack")
    local_function_stack_size = _error_part("local_function_stack_size")


class OptimizationProfile:
    _trt: Any

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: tuple[int, ...], opt: tuple[int, ...], max: tuple[int, ...]) -> None:  # noqa: A002
        self._trt.record("IOptimizationProfile.set_shape", input, tuple(min), tuple(opt), tuple(max))
        self._shapes[input] = (tuple(min), tuple(opt), tuple(max))

    def get_shape(self, input: str) -> list[tuple[int, ...]]:  # noqa: A002
        return list(self._shapes.get(input, ()))

    def __bool__(self) -> bool:
        return all(low <= best <= high for s in self._shapes.values() for low, best, high in zip(*s, strict=True))


class TimingCache:
    _trt: Any

    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> Memory:
        return Memory(self._content or b"timings")


class BuilderConfig:
    _trt: Any
    progress_monitor: Any = None

    def __init__(self) -> None:
        self._flags: list[str] = []
        self._profiles: list[Any] = []
        self._cache: Any = None

    def set_flag(self, flag: Any) -> None:
        self._trt.record("IBuilderConfig.set_flag", flag.name)
        self._flags.append(flag.name)

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self._flags

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._trt.record("IBuilderConfig.set_memory_pool_limit", pool.name, pool_size)

    def add_optimization_profile(self, profile: Any) -> int:
        if not profile:
            return -1
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        self._trt.record("IBuilderConfig.create_timing_cache", bytes(serialized_timing_cache))
        if "IBuilderConfig.create_timing_cache" in self._trt.failing and serialized_timing_cache:
            return None
        return self._trt.ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._trt.record("IBuilderConfig.set_timing_cache", ignore_mismatch)
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache


class Builder:
    _trt: Any

    def __init__(self, logger: Any) -> None:
        must_be_ready(logger)
        if self._trt.fails("Builder", logger):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        names = named_bits(self._trt.NetworkDefinitionCreationFlag, flags)
        self._trt.record("Builder.create_network", names)
        return self._trt.INetworkDefinition(names)

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig()

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Memory | None:
        self._trt.record("Builder.build_serialized_network", tuple(config._flags))
        if self._trt.fails("Builder.build_serialized_network", self._logger):
            return None
        if refusal := _refusal(network, config) or _cancelled(config):
            self._logger.log(self._logger.ERROR, refusal)
            return None
        return plan(self._trt, config._profiles[0]._shapes if config._profiles else {}, network._parsed)


def plan(trt: Any, profile: dict[str, Any], network: Any = None) -> Memory:
    """A serialized engine: header as TensorRT's, then what the runtime's side must know."""
    network = network or trt.network
    rest = json.dumps({"inputs": network.inputs, "outputs": network.outputs, "profile": profile}).encode()
    return Memory(HEADER.pack(b"ftrt", HEADER.size + len(rest), *version_bytes(trt.__version__)) + rest)


def version_bytes(version: str) -> list[int]:
    """Major, minor, patch, build of a version's name; a byte each."""
    return [*(int(part) for part in version.split(".")), 0][:4]


def _refusal(network: Any, config: Any) -> str:
    precision = [flag for flag in config._flags if flag in PRECISION_FLAGS]
    if "STRONGLY_TYPED" in network._flags and precision:
        return f"a strongly typed network takes no builder flag {precision[0]}"
    dynamic = [tensor.name for tensor in network._inputs if -1 in tensor.shape]
    if dynamic and not config._profiles:
        return "Network has dynamic or shape inputs, but no optimization profile has been defined."
    shapeless = [name for name in dynamic if name not in config._profiles[0]._shapes]
    return f"{shapeless[0]} has no shapes in the profile" if shapeless else ""


def _cancelled(config: Any) -> str:
    """Report the progress of a build that takes no time; says so if the monitor ends it."""
    monitor = getattr(config, "progress_monitor", None)  # 8.6 has none
    if monitor is None:
        return ""
    monitor.phase_start("Building Engine", None, STEPS)
    going = all(monitor.step_complete("Building Engine", step) for step in range(STEPS))
    monitor.phase_finish("Building Engine")
    return "" if going else "the build was cancelled"


def must_be_ready(logger: Any) -> None:
    """As the bindings do of a subclass that forgot its base."""
    if not getattr(logger, "_ready", False):
        raise TypeError("__init__() must be called when overriding __init__")


def dtype_of(trt: Any, name: str) -> Any:
    """A member of DataType; 64-bit integers are 32-bit where TensorRT has none."""
    return trt.DataType[name if hasattr(trt.DataType, name) else "INT32"]


def named_bits(kind: Any, flags: int) -> tuple[str, ...]:
    """The members whose bits are set; ValueError for bits that no member has."""
    if flags & ~sum(1 << int(member) for member in kind):
        raise ValueError(f"flags {flags:#x} have bits that {kind.__name__} does not know")
    return tuple(member.name for member in kind if flags >> int(member) & 1)
