"""The pipeline from frames to events, for one camera or several at once. Pure.

Motion map, network, linker, events: the daemon, `replay`, `bench` and evaluation all run this. State goes in and comes
out, time comes with the frame.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from edge import detector, events, inference, linker, people_count, streaming_memory, tile_merging, tiles
from edge.default_linker import DefaultLinker, for_events
from edge.detector import Detections
from edge.event_settings import EventSettings
from edge.events import Event, EventState
from edge.inference import Engine, Lap, MotionState, NetworkFrame, NetworkResult
from edge.linker import Linker, LinkerState
from edge.manifest import Manifest
from edge.memory_network import MemoryInputs
from edge.motion_gap import MotionGap
from edge.sources import Frame
from edge.streaming_memory import Look, MemoryState
from edge.tiles import Rectangle, Tiling
from edge.tubes import TubeBox

STAGES = ("preprocess", "motion", "network", "link", "events")
MEMORY_STAGE = "memory"  # comes first, of models that have one


@dataclass(frozen=True)
class PipelineSettings:
    """What can be tuned for one camera.

    `minimum_score`: detections below it are dropped at once; None: the linker's. `motion_gap`: seconds from
    one to the other frame of the motion map; None: the model's. `tiling`: where the network looks.
    """

    linker: Linker = DefaultLinker()
    events: EventSettings = field(default_factory=EventSettings)
    motion_gap: float | None = None
    minimum_score: float | None = None
    tiling: Tiling = Tiling()


@dataclass(frozen=True, eq=False)
class PipelineState:
    """What is carried from frame to frame. Use it once: the next frame consumes its `motion_states`."""

    events: EventState
    linker: LinkerState = field(default_factory=linker.initial)
    motion_states: tuple[MotionState, ...] = ()  # of each tile; none before the first frame
    frame_size: tuple[int, int] = (0, 0)  # (width, height) of the last frame
    tiling: Tiling = Tiling()  # of the last frame
    memory: MemoryState | None = None  # of the whole picture; None before the first frame, and for models without


@dataclass(frozen=True, eq=False)
class FrameInput:
    """One camera's frame in a batch."""

    state: PipelineState
    frame: Frame
    settings: PipelineSettings


@dataclass(frozen=True, eq=False)
class TileMotion:
    """The motion map of one tile: (h, w, 3) float32 of the network's input."""

    tile: Rectangle
    motion_map: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StepResult:
    """The results for one frame. `motion` returns the motion maps of its tiles, until the next step.

    There are none for a model without. Where tiles took several calls of an engine with its own `run_frames`, those of
    the last call are left.
    `open_event_ids`: the events that are open after this frame.
    """

    motion: Callable[[], tuple[TileMotion, ...]]
    detections: Detections
    tube_boxes: tuple[TubeBox, ...]
    events: tuple[Event, ...]
    open_event_ids: frozenset[str]


def initial(camera: str, seed: str) -> PipelineState:
    """The state before the first frame. Event ids differ between seeds and are the same for the same seed."""
    return PipelineState(events.initial(camera, seed))


def step(
    state: PipelineState, frame: Frame, engine: Engine, settings: PipelineSettings, lap: Lap = lambda stage: None
) -> tuple[PipelineState, StepResult]:
    """Process one frame. A change of frame size or tiling resets tubes and motion; open events end as lost.

    A change of frame size resets the memory too.
    """
    return step_batch([FrameInput(state, frame, settings)], engine, lap)[0]


def run(
    frames: Iterable[Frame],
    engine: Engine,
    settings: PipelineSettings,
    state: PipelineState,
    lap: Lap = lambda stage: None,
) -> Iterator[tuple[Frame, StepResult, PipelineState]]:
    """Take the frames of one camera in turn; yields each with its result and the state after it."""
    for frame in frames:
        state, result = step(state, frame, engine, settings, lap)
        yield frame, result, state


def step_batch(
    inputs: Sequence[FrameInput], engine: Engine, lap: Lap = lambda stage: None
) -> list[tuple[PipelineState, StepResult]]:
    """As `step`, for one frame each of several cameras, in as few runs of the network as it takes.

    One run takes `engine.largest_batch` tiles; a frame that is not cut into tiles is one.
    """
    inputs = _with_memory([replace(one, state=_matching_state(one)) for one in inputs], engine, lap)
    views = [tiles.cut(one.state.frame_size, one.settings.tiling) for one in inputs]
    by_frame = [_network_frames(one, view, engine.manifest) for one, view in zip(inputs, views, strict=True)]
    results = iter(_run_network(engine, list(chain.from_iterable(by_frame)), lap))
    stepped = []
    for one, view in zip(inputs, views, strict=True):
        of_frame = list(islice(results, len(view)))
        states = tuple(result.motion_state for result in of_frame)
        state = replace(one.state, motion_states=states)
        found = _detections(one.settings, view, of_frame, engine.manifest)
        state, tube_boxes, published = _link_and_decide(state, one, found, engine.manifest, lap)
        motion = partial(_tile_motions, view, of_frame)
        open_ids = people_count.open_event_ids(state.events)
        stepped.append((state, StepResult(motion, found, tube_boxes, published, open_ids)))
    return stepped


def _with_memory(inputs: list[FrameInput], engine: Engine, lap: Lap) -> list[FrameInput]:
    """The inputs, each with its memory after this frame."""
    if (memory := streaming_memory.memory_of(engine)) is None:
        return inputs
    looks = [Look(one.state.memory, one.frame.image, one.frame.monotonic_time) for one in inputs]
    after = streaming_memory.advance(memory, looks)
    lap(MEMORY_STAGE)
    return [replace(one, state=replace(one.state, memory=state)) for one, state in zip(inputs, after, strict=True)]


def _network_frames(given: FrameInput, view: Sequence[Rectangle], manifest: Manifest) -> list[NetworkFrame]:
    """The frame's tiles, each with the motion state that its last frame left and what it reads of the memory."""
    seconds, frame = given.settings.motion_gap, given.frame
    gap = manifest.gap if seconds is None else MotionGap(seconds, manifest.rate)
    states = given.state.motion_states or (None,) * len(view)
    return [
        NetworkFrame(
            tiles.crop(frame.image, tile),
            frame.monotonic_time,
            manifest.motion,
            gap,
            state,
            _of_memory(given.state, tile, manifest),
        )
        for tile, state in zip(view, states, strict=True)
    ]


def _of_memory(state: PipelineState, tile: Rectangle, manifest: Manifest) -> MemoryInputs:
    if state.memory is None or manifest.memory is None:
        return {}
    return streaming_memory.inputs(state.memory, tile, state.frame_size, manifest.input_size)


def _run_network(engine: Engine, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
    """Run the network on all frames, `largest_batch` at a time."""
    results: list[NetworkResult] = []
    for start in range(0, len(frames), engine.largest_batch):
        if engine.run_frames is not None:  # its motion maps may lie in the input that the next run overwrites
            results = [replace(one, motion=_overwritten) for one in results]
        results += inference.run_network(engine, frames[start : start + engine.largest_batch], lap)
    return results


def _overwritten() -> None:
    """The motion map of a run that another has followed."""


def _tile_motions(view: Sequence[Rectangle], results: Sequence[NetworkResult]) -> tuple[TileMotion, ...]:
    maps = [(tile, result.motion()) for tile, result in zip(view, results, strict=True)]
    return tuple(TileMotion(tile, motion_map) for tile, motion_map in maps if motion_map is not None)


def _matching_state(given: FrameInput) -> PipelineState:
    """The camera's state without what does not fit this frame."""
    state, size = given.state, detector.frame_size(given.frame.image)
    tiling = given.settings.tiling
    if (size, tiling) != (state.frame_size, state.tiling):
        linker_state = LinkerState(next_tube=state.linker.next_tube)
        memory = state.memory if size == state.frame_size else None
        return PipelineState(state.events, linker_state, frame_size=size, tiling=tiling, memory=memory)
    return state


def _detections(
    settings: PipelineSettings, view: Sequence[Rectangle], results: Sequence[NetworkResult], manifest: Manifest
) -> Detections:
    """What the network has found in the tiles of one frame."""
    least = settings.linker.minimum_score if settings.minimum_score is None else settings.minimum_score
    found = [
        detector.detections(result.outputs, (right - left, bottom - top), manifest, least)
        for (left, top, right, bottom), result in zip(view, results, strict=True)
    ]
    return tile_merging.merge(found, view)


def _link_and_decide(
    state: PipelineState, given: FrameInput, found: Detections, manifest: Manifest, lap: Lap
) -> tuple[PipelineState, tuple[TubeBox, ...], tuple[Event, ...]]:
    """The tubes and events of one frame, from its detections."""
    frame, settings = given.frame, given.settings
    rule = for_events(settings.linker, settings.events, manifest.labels)
    linked, tube_boxes = rule.step(state.linker, found, frame.monotonic_time)
    lap("link")
    event_state, published = events.step(state.events, tube_boxes, frame, manifest.labels, settings.events)
    lap("events")
    return replace(state, events=event_state, linker=linked), tube_boxes, published
