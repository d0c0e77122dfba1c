"""From a frame to events, for one camera: motion, detection, linking, events. Pure.

The daemon, `replay`, `bench` and evaluation all run this; state goes in and comes out, time comes with the frame.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge import detector, events, linker, motion
from edge.detector import Detections
from edge.events import Event, EventSettings, EventState
from edge.inference import Engine
from edge.linker import LinkerSettings, LinkerState, TubeBox
from edge.manifest import Manifest
from edge.motion import Prepared
from edge.sources import Frame

STAGES = ("preprocess", "motion", "network", "link", "events")
Lap = Callable[[str], None]  # called with a stage's name as soon as the stage is over


@dataclass(frozen=True)
class PipelineSettings:
    """What can be tuned for one camera."""

    minimum_score: float = 0.01  # detections below are dropped at once
    linker: LinkerSettings = field(default_factory=LinkerSettings)
    events: EventSettings = field(default_factory=EventSettings)


@dataclass(frozen=True, eq=False)
class CameraState:
    """What one frame leaves behind for the next. Continue it once: its oldest frame lends the next its memory."""

    events: EventState
    linker: LinkerState = field(default_factory=linker.initial)
    past: tuple[Prepared, ...] = ()  # the last `gap` frames and one spare, as the network sees them, oldest first
    frame_size: tuple[int, int] = (0, 0)  # (width, height) of the last frame


@dataclass(frozen=True, eq=False)
class Step:
    """What became of one frame."""

    motion: NDArray[np.float32] | None  # (h, w, 3) of the network's input, None for a model without
    detections: Detections
    tube_boxes: tuple[TubeBox, ...]
    events: tuple[Event, ...]


def initial(camera: str, seed: str) -> CameraState:
    """A camera that has seen nothing; `seed` makes its event ids its own, the same seed makes the same ids."""
    return CameraState(events.initial(camera, seed))


def step(
    state: CameraState, frame: Frame, engine: Engine, settings: PipelineSettings, lap: Lap = lambda stage: None
) -> tuple[CameraState, Step]:
    """Take one frame. After a change of frame size tubes and motion start anew; open events end as lost."""
    manifest, size = engine.manifest, detector.frame_size(frame.image)
    if size != state.frame_size:
        state = CameraState(state.events, LinkerState(next_tube=state.linker.next_tube), (), size)
    normalised = detector.normalise(frame.image, manifest)
    lap("preprocess")
    motion_map, past = motion_step(state.past, normalised, manifest)
    lap("motion")
    outputs = engine.infer({"image": detector.network_input(normalised, motion_map)})
    found = detector.detections(outputs, size, manifest, settings.minimum_score)
    lap("network")
    linked, tube_boxes = linker.step(state.linker, found, frame.index, settings.linker)
    lap("link")
    told, happened = events.step(state.events, tube_boxes, frame, manifest.labels, settings.events)
    lap("events")
    return CameraState(told, linked, past, size), Step(motion_map, found, tube_boxes, happened)


def motion_step(
    past: tuple[Prepared, ...], normalised: NDArray[np.float32], manifest: Manifest
) -> tuple[NDArray[np.float32] | None, tuple[Prepared, ...]]:
    """The motion map against the frame `gap` back, the oldest there is, or zeros; and the new past.

    `normalised` is (h, w, 3) float32 of the network's input size. The oldest frame of `past` may be overwritten.
    """
    if manifest.motion.kind == "none":
        return None, ()
    gap = manifest.motion.gap
    current = motion.prepare(normalised, past[0] if len(past) > gap else None)
    previous = past[-gap:][0] if past else motion.blank(*normalised.shape[:2])
    found, _ = motion.compare(previous, current, manifest.motion)
    return found, (*past, current)[-gap - 1 :]
