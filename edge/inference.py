"""The seam between the pipeline and what runs the network: one call from camera frames to the network's outputs. Pure.

An engine may bring its own `run_frames`, as `edge.engines.inference_cuda` does on the GPU; the CPU's is here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge import detector
from edge import motion_map as motion
from edge.clip_branch import ClipBranch
from edge.manifest import INPUT, OUTPUTS, Manifest
from edge.memory_network import MemoryInputs, MemoryNetwork
from edge.motion_gap import MotionGap, recall
from edge.motion_map import MotionSettings, Prepared

Outputs = Mapping[str, NDArray[Any]]
Infer = Callable[[Mapping[str, NDArray[Any]]], Outputs]
Lap = Callable[[str], None]  # called with a stage's name as soon as the stage is over
Past = tuple[tuple[float, Prepared], ...]  # a camera's last frames with their times, oldest first
MotionState = Any  # what a camera's last frames leave for its next motion map; only `run_frames` looks inside


class EngineError(Exception):
    """A model that cannot be run."""


@dataclass(frozen=True, eq=False)
class NetworkFrame:
    """One camera's newest frame, or a tile of it: (H, W, 3) uint8 BGR, taken at `time`, seconds of the camera's clock.

    `gap`: how far back the frame lies that its motion map compares with. `motion_state` is that of the camera's last
    NetworkResult, None at first; it is used up, and holds for frames of one size. Rows of a tile, a view of its
    frame, do not follow each other in memory. `memory`: MEMORY_INPUTS, for a model with one.
    """

    image: NDArray[np.uint8]
    time: float
    motion: MotionSettings
    gap: MotionGap
    motion_state: MotionState | None
    memory: MemoryInputs = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """The network's OUTPUTS for one NetworkFrame, as a batch of one.

    `motion` returns the motion map that the network read, (h, w, 3) float32, or None for a model without; call it
    before the next run.
    """

    outputs: Outputs
    motion_state: MotionState
    motion: Callable[[], NDArray[np.float32] | None]


Preprocessor = Literal["cpu", "cuda", "graph"]
PREPROCESSORS: Mapping[Preprocessor, str] = {
    "cpu": "on the CPU",
    "cuda": "on the GPU by cv2.cuda",
    "graph": "in the model's own graph",
}
RunFrames = Callable[[Sequence[NetworkFrame], Lap], list[NetworkResult]]


@dataclass(frozen=True, eq=False)
class StreamingMemory:
    """A model's memory ready to run, from the file at `path`.

    `infer` takes INPUT and the parts of the memory, and returns the maps and the parts after; see
    `edge.memory_network`. `network` names its parts; `rate`: frames per second of its interval; `runtime`: name and
    version.
    """

    infer: Infer
    network: MemoryNetwork
    rate: float
    path: Path
    runtime: str
    largest_batch: int = 1

    @property
    def seconds(self) -> float:
        """From one step to the next."""
        return self.network.interval / self.rate

    @property
    def summary(self) -> str:
        """What it looks at, how often, and what it keeps, in words."""
        return memory_summary(self.network, self.rate)


@dataclass(frozen=True, eq=False)
class Engine:
    """A model ready to run: `infer` takes INPUT (B, C, h, w) float32 and returns OUTPUTS by name.

    `largest_batch` is that of one call. `run_frames` replaces the CPU's preprocessing and motion map where it is set.
    `preprocessor`: where frames are fitted and compared. `fallback`: why this is not what was configured or what the
    machine could do, with the remedy; "" where it is. `memory`: where the manifest names one; `infer` then takes
    MEMORY_INPUTS too. `clip`: of a model that sees clips; `infer` then takes CLIP_MAP, and `run_frames` makes that.
    """

    infer: Infer
    manifest: Manifest
    sha256: str  # of the model's file, hexadecimal
    runtime: str  # name and version
    largest_batch: int = 1
    run_frames: RunFrames | None = None
    preprocessor: Preprocessor = "cpu"
    fallback: str = ""
    memory: StreamingMemory | None = None
    clip: ClipBranch | None = None


class GpuInput(Protocol):
    """An engine's input that may be filled in place on the GPU."""

    @property
    def image(self) -> NDArray[Any]:
        """The input on the host, (largest batch, C, h, w); the GPU's has the same shape and data type."""

    @property
    def image_address(self) -> int:
        """The input's address on the GPU."""

    @property
    def stream(self) -> int:
        """The CUDA stream that the engine runs on."""


class GpuRunner(GpuInput, Protocol):
    """An engine on the GPU: `edge.engines.tensorrt_runner.Runner`."""

    @property
    def batches(self) -> tuple[int, int]:
        """The smallest and the largest batch."""

    def upload(self, name: str, rows: NDArray[Any]) -> None:
        """Fill the first rows of an input from the host."""

    def run(self, batch: int) -> Outputs:
        """The outputs for the first `batch` images at `image_address`, once the stream has filled them."""

    def close(self) -> None:
        """Free the GPU's memory."""


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """An engine with what it owns on the GPU: a context manager.

    `runner` and `path` (of the engine file) are None where another runtime than TensorRT runs the model; `beside`,
    what `engine.memory` or `engine.clip` owns on the GPU, is where another one runs that, or there is none.
    """

    engine: Engine
    runner: GpuRunner | None = None
    path: Path | None = None
    beside: "LoadedEngine | None" = None

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def noting(self, fallback: str) -> "LoadedEngine":
        """The same, with one more reason why it is not what was configured; "" for none."""
        reasons = "; ".join(filter(None, (self.engine.fallback, fallback)))
        return replace(self, engine=replace(self.engine, fallback=reasons))

    def close(self) -> None:
        """Free the GPU's memory; `engine` cannot be used afterwards."""
        for owned in (self.beside, self.runner):
            if owned is not None:
                owned.close()


def run_network(engine: Engine, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
    """Run the network once on all frames, at most `engine.largest_batch`; the results are in their order."""
    return (engine.run_frames or partial(_run_on_cpu, engine))(frames, lap)


def _run_on_cpu(engine: Engine, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
    """A camera's motion state is its last frames with their times, prepared for the motion map."""
    inputs, maps, states = [], [], []
    for frame in frames:
        normalised = detector.normalise(frame.image, engine.manifest)
        lap("preprocess")
        motion_map, state = motion_step(frame.motion_state or (), frame.time, normalised, frame.motion, frame.gap)
        lap("motion")
        inputs.append(detector.network_input(normalised, motion_map))
        maps.append(motion_map)
        states.append(state)
    image = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
    outputs = engine.infer({INPUT: image, **memory_inputs_of(frames)})
    lap("network")
    return [
        NetworkResult(of_one(outputs, row), state, partial(_same, motion_map))
        for row, (state, motion_map) in enumerate(zip(states, maps, strict=True))
    ]


def motion_step(
    past: Past, time: float, normalised: NDArray[np.float32], settings: MotionSettings, gap: MotionGap
) -> tuple[NDArray[np.float32] | None, Past]:
    """The motion map against the frame that lies `gap` back, the nearest there is, or zeros; and the new past.

    `normalised` is (h, w, 3) float32 of the network's input size, `time` in seconds. `past` is what the last call
    returned, () at first; frames in it that are needed no longer may be overwritten.
    """
    if settings.kind == "none":
        return None, ()
    known = recall(past, time, gap)
    current = motion.prepare(normalised, known.free[0] if known.free else None)
    previous = motion.blank(*normalised.shape[:2]) if known.previous is None else known.previous
    found, _ = motion.compare(previous, current, settings)
    return found, (*known.kept, (time, current))


def memory_inputs_of(frames: Sequence[NetworkFrame]) -> dict[str, NDArray[np.float32]]:
    """MEMORY_INPUTS of the frames as one batch, (B, ...) by name; none for a model without a memory."""
    return {name: np.concatenate([frame.memory[name] for frame in frames]) for name in frames[0].memory}


def memory_summary(network: MemoryNetwork, rate: float) -> str:
    """What a memory looks at, how often, and what it keeps, in words; `rate`: the manifest's."""
    return (
        f"a step every {network.interval / rate:g} s, {network.size}x{network.size}, "
        f"{network.bytes_per_camera / 1e6:.1f} MB for each camera"
    )


def of_one(outputs: Outputs, row: int) -> Outputs:
    """A batch's outputs for one image, as a batch of one."""
    return {name: outputs[name][row : row + 1] for name in OUTPUTS}


def _same(motion_map: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return motion_map
