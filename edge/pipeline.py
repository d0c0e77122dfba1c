"""The pipeline from frames to events, for one camera or several at once. Pure.

Motion map, network, linker, events: the daemon, `replay`, `bench` and evaluation all run this. State goes in and comes
out, time comes with the frame.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge import detector, events, inference, linker, people_count
from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.event_settings import EventSettings
from edge.events import Event, EventState
from edge.inference import Engine, Lap, MotionState, NetworkFrame, Outputs
from edge.linker import Linker, LinkerState
from edge.manifest import Manifest
from edge.motion_gap import MotionGap
from edge.sources import Frame
from edge.tubes import TubeBox

STAGES = ("preprocess", "motion", "network", "link", "events")


@dataclass(frozen=True)
class PipelineSettings:
    """What can be tuned for one camera.

    `minimum_score`: detections below it are dropped at once; None: the linker's. `motion_gap`: seconds from
    one to the other frame of the motion map; None: the model's.
    """

    linker: Linker = DefaultLinker()
    events: EventSettings = field(default_factory=EventSettings)
    motion_gap: float | None = None
    minimum_score: float | None = None


@dataclass(frozen=True, eq=False)
class PipelineState:
    """What is carried from frame to frame. Use it once: the next frame consumes its `motion_state`."""

    events: EventState
    linker: LinkerState = field(default_factory=linker.initial)
    motion_state: MotionState | None = None
    frame_size: tuple[int, int] = (0, 0)  # (width, height) of the last frame


@dataclass(frozen=True, eq=False)
class FrameInput:
    """One camera's frame in a batch."""

    state: PipelineState
    frame: Frame
    settings: PipelineSettings


@dataclass(frozen=True, eq=False)
class StepResult:
    """The results for one frame. `motion` returns the motion map (h, w, 3) of the network's input, until the next step.

    `open_event_ids`: the events that are open after this frame.
    """

    motion: Callable[[], NDArray[np.float32] | None]
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
    """Process one frame. After a change of frame size, tubes and motion are reset; open events end as lost."""
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
    """As `step`, for one frame each of at most `engine.largest_batch` cameras, in one run of the network."""
    inputs = [replace(one, state=_matching_state(one)) for one in inputs]
    results = inference.run_network(engine, [_network_frame(one, engine.manifest) for one in inputs], lap)
    stepped = []
    for one, result in zip(inputs, results, strict=True):
        state = replace(one.state, motion_state=result.motion_state)
        state, (found, tube_boxes, published) = _link_and_decide(state, one, result.outputs, engine.manifest, lap)
        stepped.append(
            (state, StepResult(result.motion, found, tube_boxes, published, people_count.open_event_ids(state.events)))
        )
    return stepped


def _network_frame(given: FrameInput, manifest: Manifest) -> NetworkFrame:
    seconds = given.settings.motion_gap
    gap = manifest.gap if seconds is None else MotionGap(seconds, manifest.rate)
    frame = given.frame
    return NetworkFrame(frame.image, frame.monotonic_time, manifest.motion, gap, given.state.motion_state)


def _matching_state(given: FrameInput) -> PipelineState:
    """The camera's state without what does not fit this frame."""
    state, size = given.state, detector.frame_size(given.frame.image)
    if size != state.frame_size:
        return PipelineState(state.events, LinkerState(next_tube=state.linker.next_tube), frame_size=size)
    return state


def _link_and_decide(
    state: PipelineState, given: FrameInput, outputs: Outputs, manifest: Manifest, lap: Lap
) -> tuple[PipelineState, tuple[Detections, tuple[TubeBox, ...], tuple[Event, ...]]]:
    """The detections, tubes and events of one frame, from the network's outputs."""
    frame, settings = given.frame, given.settings
    least = settings.linker.minimum_score if settings.minimum_score is None else settings.minimum_score
    found = detector.detections(outputs, state.frame_size, manifest, least)
    linked, tube_boxes = settings.linker.step(state.linker, found, frame.index)
    lap("link")
    event_state, published = events.step(state.events, tube_boxes, frame, manifest.labels, settings.events)
    lap("events")
    return replace(state, events=event_state, linker=linked), (found, tube_boxes, published)
