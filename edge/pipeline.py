"""From frames to events, for one camera or several at once: motion, detection, linking, events. Pure.

The daemon, `replay`, `bench` and evaluation all run this; state goes in and comes out, time comes with the frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge import detector, events, inference, linker, presence
from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.events import Event, EventSettings, EventState
from edge.inference import Engine, Lap, MotionState, NetworkFrame, Outputs
from edge.linker import Linker, LinkerState
from edge.manifest import Manifest
from edge.motion import MotionSettings
from edge.sources import Frame
from edge.tubes import TubeBox

STAGES = ("preprocess", "motion", "network", "link", "events")


@dataclass(frozen=True)
class PipelineSettings:
    """What can be tuned for one camera.

    `minimum_score`: detections below it are dropped at once; None: the linker's. `frame_gap`: frames between the two
    that make a motion map; None: the model's.
    """

    linker: Linker = DefaultLinker()
    events: EventSettings = field(default_factory=EventSettings)
    frame_gap: int | None = None
    minimum_score: float | None = None


@dataclass(frozen=True, eq=False)
class PipelineState:
    """What one frame leaves behind for the next. Continue it once: the next frame uses its `motion_state` up."""

    events: EventState
    linker: LinkerState = field(default_factory=linker.initial)
    motion_state: MotionState | None = None
    motion: MotionSettings | None = None  # that `motion_state` is for
    frame_size: tuple[int, int] = (0, 0)  # (width, height) of the last frame


@dataclass(frozen=True, eq=False)
class FrameInput:
    """One camera's part in a step of several."""

    state: PipelineState
    frame: Frame
    settings: PipelineSettings


@dataclass(frozen=True, eq=False)
class StepResult:
    """What became of one frame. `motion` gives (h, w, 3) of the network's input; ask before the next step.

    `open_event_ids`: the events that are open after this frame.
    """

    motion: Callable[[], NDArray[np.float32] | None]
    detections: Detections
    tube_boxes: tuple[TubeBox, ...]
    events: tuple[Event, ...]
    open_event_ids: frozenset[str]


def initial(camera: str, seed: str) -> PipelineState:
    """A camera that has seen nothing; `seed` makes its event ids its own, the same seed makes the same ids."""
    return PipelineState(events.initial(camera, seed))


def step(
    state: PipelineState, frame: Frame, engine: Engine, settings: PipelineSettings, lap: Lap = lambda stage: None
) -> tuple[PipelineState, StepResult]:
    """Take one frame. After a change of frame size tubes and motion start anew; open events end as lost."""
    return step_batch([FrameInput(state, frame, settings)], engine, lap)[0]


def step_batch(
    turns: Sequence[FrameInput], engine: Engine, lap: Lap = lambda stage: None
) -> list[tuple[PipelineState, StepResult]]:
    """As `step`, for one frame each of several cameras, at most `engine.largest_batch`, in one run of the network."""
    turns = [replace(turn, state=_fitting(turn, engine.manifest)) for turn in turns]
    network_frames = [
        NetworkFrame(turn.frame.image, _motion(turn.settings, engine.manifest), turn.state.motion_state)
        for turn in turns
    ]
    results = inference.run_network(engine, network_frames, lap)
    made = []
    for turn, network_frame, result in zip(turns, network_frames, results, strict=True):
        state = replace(turn.state, motion_state=result.motion_state, motion=network_frame.motion)
        state, (found, tube_boxes, happened) = _concluded(state, turn, result.outputs, engine.manifest, lap)
        made.append(
            (state, StepResult(result.motion, found, tube_boxes, happened, presence.open_event_ids(state.events)))
        )
    return made


def _motion(settings: PipelineSettings, manifest: Manifest) -> MotionSettings:
    if settings.frame_gap is None:
        return manifest.motion
    return replace(manifest.motion, gap=settings.frame_gap)


def _fitting(turn: FrameInput, manifest: Manifest) -> PipelineState:
    """The camera's state, less what does not fit this frame."""
    state, size = turn.state, detector.frame_size(turn.frame.image)
    if size != state.frame_size:
        return PipelineState(state.events, LinkerState(next_tube=state.linker.next_tube), frame_size=size)
    if state.motion != _motion(turn.settings, manifest):
        return replace(state, motion_state=None)
    return state


def _concluded(
    state: PipelineState, turn: FrameInput, outputs: Outputs, manifest: Manifest, lap: Lap
) -> tuple[PipelineState, tuple[Detections, tuple[TubeBox, ...], tuple[Event, ...]]]:
    """From the network's outputs for one frame to events."""
    frame, settings = turn.frame, turn.settings
    least = settings.linker.minimum_score if settings.minimum_score is None else settings.minimum_score
    found = detector.detections(outputs, state.frame_size, manifest, least)
    linked, tube_boxes = settings.linker.step(state.linker, found, frame.index)
    lap("link")
    told, happened = events.step(state.events, tube_boxes, frame, manifest.labels, settings.events)
    lap("events")
    return replace(state, events=told, linker=linked), (found, tube_boxes, happened)
