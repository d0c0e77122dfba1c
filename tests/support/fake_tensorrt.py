"""A fake TensorRT of any version that records its calls. It proves the calls and their order, not the engine.

Enum members, methods and attributes exist exactly where that version's bindings have them (`tensorrt_api`); what
a version lacks raises AttributeError, what this fake does not play NotImplementedError. Refusals are those of the real
library: None or False and a logged sentence, rarely an exception. Addresses are those of memory that this process
can read, so that a fake of CUDA may hand out ordinary memory.
"""

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from tests.support import fake_tensorrt_builder as builder_side
from tests.support import fake_tensorrt_runtime as runtime_side
from tests.support.fake_tensorrt_builder import Fault
from tests.support.tiny_model import LABELS, SIZE

API = Path(__file__).parent / "tensorrt_api"
VERSIONS = ("8.6", "10.0", "10.3", "10.12", "10.13", "10.16", "11.0", "11.4")

Tensors = Mapping[str, tuple[tuple[int, ...], str]]  # name: shape with -1 for the batch, DataType
Compute = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Layer:
    """One layer of a parsed network: the tensors that it reads and writes, each with its DataType."""

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Network:
    """What the parser finds in any ONNX that it is given: that of `tiny_model`, with a dynamic batch."""

    inputs: Tensors = field(default_factory=lambda: {"image": ((-1, 3, SIZE, SIZE), "FLOAT")})
    outputs: Tensors = field(
        default_factory=lambda: {
            "boxes": ((-1, 1, 4), "FLOAT"),
            "scores": ((-1, 1), "FLOAT"),
            "labels": ((-1, 1), "INT64"),
            "class_scores": ((-1, 1, len(LABELS)), "FLOAT"),
        }
    )
    layers: Sequence[Layer] = ()  # where a test looks at them


class FakeTensorRT(ModuleType):
    """The module. `recorded` holds every call: (Class.method, what it was given)."""

    def __init__(self, version: str, network: Network, **behaviour: Any) -> None:
        super().__init__("tensorrt")
        self.api: dict[str, Any] = json.loads((API / f"{version}.json").read_text())
        self.__version__ = self.api["version"]
        self.network = network
        self.recorded: list[tuple[str, Any]] = []
        self.network_of: Callable[[bytes], Network] = lambda model: self.network  # what the parser finds in an ONNX
        self.faults_of: Callable[[bytes], Sequence[Fault]] = lambda model: behaviour["faults"]  # and what it refuses
        self.failing: Mapping[str, str] = behaviour["failing"]
        self.compute: Compute = behaviour["compute"] or (lambda inputs: {})
        for name, members in self.api["enums"].items():
            setattr(self, name, enum.IntEnum(name, list(members), start=0))
        for name, members in self.api["classes"].items():
            setattr(self, name, _restricted(self, name, members))
        for name in self.api["functions"]:
            setattr(self, name, FUNCTIONS[name])

    def record(self, call: str, *given: Any) -> None:
        self.recorded.append((call, given[0] if len(given) == 1 else given))

    def named(self, call: str) -> list[Any]:
        """What each call of that name was given."""
        return [given for name, given in self.recorded if name == call]

    def fails(self, call: str, logger: Any) -> bool:
        """Whether the test wants that call to fail; then its sentence is logged as an error."""
        if call in self.failing:
            logger.log(logger.ERROR, self.failing[call])
        return call in self.failing


def fake(
    version: str,
    network: Network | None = None,
    faults: Sequence[Fault] = (),
    failing: Mapping[str, str] | None = None,
    compute: Compute | None = None,
) -> Any:
    """A module for `version` of VERSIONS.

    `faults` are what the parser reports of any model; `failing` maps calls that shall fail ("Builder",
    "Builder.build_serialized_network", "Runtime.deserialize_cuda_engine", "ICudaEngine.create_execution_context",
    "IExecutionContext.execute_async_v3", …) to what they log; `compute` gives the outputs for the inputs, by name
    (zeros without it).
    """
    return FakeTensorRT(version, network or Network(), faults=faults, failing=failing or {}, compute=compute)


def plan(trt: Any, max_batch: int = 1) -> bytes:
    """What that fake's builder would write for batches of 1 to `max_batch`."""
    shapes = {name: shape for name, (shape, _) in trt.network.inputs.items()}
    profile = {name: [(batch, *shape[1:]) for batch in (1, max_batch, max_batch)] for name, shape in shapes.items()}
    return builder_side.plan(trt, profile)


def _restricted(trt: FakeTensorRT, name: str, members: Sequence[str]) -> type:
    """The played class with just the members that this version has."""
    played = vars(PLAYED[name])
    body = {key: value for key, value in played.items() if key.startswith("_")}
    body = {key: value for key, value in body.items() if key not in ("__dict__", "__weakref__")}
    body |= {member: played.get(member, _unplayed(f"{name}.{member}")) for member in members}
    if not body.pop("_subclassed", False):
        body["__setattr__"] = _guarded(name, set(members), trt.__version__)
    return type(name, (), {**body, "_trt": trt})


def _unplayed(name: str) -> property:
    def refuse(self: Any) -> Any:
        raise NotImplementedError(f"the fake does not play {name}")

    return property(refuse)


def _guarded(name: str, members: set[str], version: str) -> Callable[[Any, str, Any], None]:
    def assign(self: Any, attribute: str, value: Any) -> None:
        if not attribute.startswith("_") and attribute not in members:
            raise AttributeError(f"TensorRT {version} has no {name}.{attribute}")
        object.__setattr__(self, attribute, value)

    return assign


PLAYED: Mapping[str, type] = {
    "Builder": builder_side.Builder,
    "IBuilderConfig": builder_side.BuilderConfig,
    "INetworkDefinition": builder_side.Network,
    "ILayer": builder_side.Layer,
    "ITensor": builder_side.Tensor,
    "IOptimizationProfile": builder_side.OptimizationProfile,
    "OnnxParser": builder_side.Parser,
    "ParserError": builder_side.ParserError,
    "ITimingCache": builder_side.TimingCache,
    "IHostMemory": builder_side.Memory,
    "IProgressMonitor": builder_side.ProgressMonitor,
    "ILogger": builder_side.Logger,
    "Logger": builder_side.Logger,
    "Runtime": runtime_side.Runtime,
    "ICudaEngine": runtime_side.CudaEngine,
    "IExecutionContext": runtime_side.ExecutionContext,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "nptype": runtime_side.nptype,
    "init_libnvinfer_plugins": lambda logger, namespace: True,
}
