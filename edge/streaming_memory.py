"""The memory of each camera, from picture to picture: what a step takes, and what is kept of it. Pure.

Of the whole picture, never of a tile; cameras whose steps are due at the same time share one run of the network.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import letterbox
from edge import memory_network as networks
from edge.inference import Engine, EngineError, StreamingMemory
from edge.manifest import INPUT
from edge.memory_network import PLACEMENT, MemoryInputs, MemoryNetwork
from edge.memory_placement import of_tile, placement
from edge.memory_schedule import next_step
from edge.tiles import Rectangle


@dataclass(frozen=True, eq=False)
class MemoryState:
    """What a camera's memory holds after its last step; no step changes it.

    `network`: whose memory it is. `time`: of the picture that it has seen last, seconds of the camera's clock. `parts`:
    the memory, each (1, ...) float32; `maps`: what the detector reads of it, the same, by name.
    """

    network: MemoryNetwork
    time: float
    parts: Sequence[NDArray[np.float32]]
    maps: MemoryInputs


@dataclass(frozen=True, eq=False)
class Look:
    """A camera's newest picture, (H, W, 3) uint8 BGR, its `time` in seconds, and its last state, None at first."""

    state: MemoryState | None
    image: NDArray[np.uint8]
    time: float


def memory_of(engine: Engine) -> StreamingMemory | None:
    """The engine's memory; None for a model without. Raises EngineError where it should have one."""
    if engine.manifest.memory is not None and engine.memory is None:
        raise EngineError(
            f"{engine.manifest.name} reads the maps of a memory, and was opened without; open it by its file name"
        )
    return engine.memory


def advance(memory: StreamingMemory, looks: Sequence[Look]) -> list[MemoryState]:
    """The state of each camera after its picture: stepped where that is due, else as it was.

    Due pictures go through the network together, `memory.largest_batch` at a time. Raises EngineError.
    """
    states = [_kept(memory, look) for look in looks]
    due = [index for index, (look, state) in enumerate(zip(looks, states, strict=True)) if _is_due(memory, look, state)]
    after = {index: state for index, state in enumerate(states) if state is not None}
    for start in range(0, len(due), memory.largest_batch):
        together = due[start : start + memory.largest_batch]
        stepped = _step(memory, [looks[index] for index in together], [states[index] for index in together])
        after.update(zip(together, stepped, strict=True))
    return [after[index] for index in range(len(looks))]


def inputs(
    state: MemoryState, tile: Rectangle, frame_size: tuple[int, int], input_size: tuple[int, int]
) -> MemoryInputs:
    """What the detector reads for a tile of the camera's frame; sizes are (width, height), pixels."""
    left, top, right, bottom = tile
    matrix = of_tile(tile, letterbox.affine((right - left, bottom - top), input_size))
    return {**state.maps, PLACEMENT: placement(matrix, frame_size, input_size)[None]}


def picture(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """The whole image stretched to a square of `size` pixels: (3, size, size) float32, RGB from 0 to 1."""
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    planes: NDArray[np.float32] = np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1), np.float32)
    planes /= np.float32(255)
    return planes


def _kept(memory: StreamingMemory, look: Look) -> MemoryState | None:
    """The state to go on from; None: begin from zeros.

    That of another network is none, nor one that is due and not finite: sums in it would stay so for ever.
    """
    network, state = memory.network, look.state
    if state is None or state.network != network:
        return None
    kind = next_step(state.time, look.time, network.interval, memory.rate)
    broken = kind == "continue" and not all(np.isfinite(part).all() for part in state.parts)
    return None if kind == "begin" or broken else state


def _is_due(memory: StreamingMemory, look: Look, state: MemoryState | None) -> bool:
    network = memory.network
    return state is None or next_step(state.time, look.time, network.interval, memory.rate) == "continue"


def _step(
    memory: StreamingMemory, looks: Sequence[Look], states: Sequence[MemoryState | None]
) -> Iterator[MemoryState]:
    """One run of the network; without a state the memory is zeros."""
    network = memory.network
    images = np.stack([picture(look.image, network.size) for look in looks])
    outputs = memory.infer({INPUT: images, **_parts(network, states)})
    names = networks.next_part_names(len(network.parts))
    for row, look in enumerate(looks):
        parts = [_row(outputs, name, row) for name in names]
        maps = {name: _row(outputs, name, row) for name in networks.map_shapes(network, 1)}
        yield MemoryState(network, look.time, parts, maps)


def _parts(network: MemoryNetwork, states: Sequence[MemoryState | None]) -> dict[str, NDArray[np.float32]]:
    """The memory of a batch, by the names of the inputs."""
    shapes = networks.part_shapes(network, 1)
    return {
        name: np.concatenate([np.zeros(shape, np.float32) if one is None else one.parts[index] for one in states])
        for index, (name, shape) in enumerate(shapes.items())
    }


def _row(outputs: Mapping[str, NDArray[Any]], name: str, row: int) -> NDArray[np.float32]:
    """One camera's part of an output: a copy, where else it would keep the memory of all of the batch alive."""
    whole = outputs[name]
    return whole if len(whole) == 1 else whole[row : row + 1].copy()
