"""Events about which the two linkers disagree: one joins a person's boxes to an event, the other does not. Pure.

The linker that a camera does not use goes over the same detections, and over its tubes a second life of events with the
same settings, which publishes nothing. Its cost is bounded: it is given the MOST best detections of a frame.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge import events
from edge import linker as linkers
from edge.boxes import iou
from edge.default_linker import DefaultLinker, for_events
from edge.detector import Detections
from edge.event_settings import EventSettings
from edge.events import ActionKey, EventState
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker, LinkerState
from edge.sources import Frame
from edge.tracked_action import TrackedAction

LEAST_SCORE, MOST = 0.05, 32  # of the detections that it is given
SAME_PERSON = 0.3  # overlap of the boxes of two events that are one


@dataclass(frozen=True, eq=False)
class Linked:
    """What is known of a frame: its detections, the camera's linker, and its events after the frame."""

    detections: Detections
    linker: Linker
    events: EventState


@dataclass(frozen=True, eq=False)
class OpenEvent:
    """An open event of either linker; `second`: of the one that the camera does not use."""

    key: ActionKey
    tracked: TrackedAction
    second: bool


@dataclass(frozen=True, eq=False)
class SecondLinking:
    """What is carried from frame to frame of one camera. `open`: by the id of the event.

    `agreed`: ids of the open events that the other linker has had too, in some frame.
    """

    life: EventState
    linker: LinkerState = field(default_factory=linkers.initial)
    open: Mapping[str, OpenEvent] = field(default_factory=dict)
    agreed: frozenset[str] = frozenset()


def initial(camera: str) -> SecondLinking:
    """The state before the first frame."""
    return SecondLinking(events.initial(camera, "second linker"))


def step(
    state: SecondLinking, frame: Frame, linked: Linked, labels: Sequence[str], settings: EventSettings
) -> tuple[SecondLinking, tuple[OpenEvent, ...]]:
    """The events of either linker that have ended and of which the other one had none."""
    by_default = isinstance(linked.linker, DefaultLinker)
    other: Linker = KorsalLinker() if by_default else for_events(DefaultLinker(), settings, labels)
    linker, tube_boxes = other.step(state.linker, _strongest(linked.detections), frame.monotonic_time)
    life, _ = events.step(state.life, tube_boxes, frame, labels, settings)
    ours, theirs = dict(_open(linked.events, second=False)), dict(_open(life, second=True))
    now = ours | theirs
    agreed = state.agreed | frozenset(_agreed(ours, theirs))
    alone = tuple(one for event_id, one in state.open.items() if event_id not in now and event_id not in agreed)
    return SecondLinking(life, linker, now, agreed & now.keys()), alone


def _strongest(detections: Detections) -> Detections:
    """At most MOST of them; they come by falling score."""
    kept = slice(min(int(np.count_nonzero(detections.scores >= LEAST_SCORE)), MOST))
    return Detections(
        detections.boxes[kept], detections.scores[kept], detections.labels[kept], detections.class_scores[kept]
    )


def _open(life: EventState, second: bool) -> Iterator[tuple[str, OpenEvent]]:
    return ((one.event_id, OpenEvent(key, one, second)) for key, one in life.actions.items() if one.event_id)


def _agreed(ours: Mapping[str, OpenEvent], theirs: Mapping[str, OpenEvent]) -> Iterator[str]:
    """The ids of events of one action that overlap one of the other linker now."""
    if not ours or not theirs:
        return
    boxes = [np.array([one.tracked.last.box for one in side.values()]) for side in (ours, theirs)]
    same = iou(*boxes) >= SAME_PERSON
    for row, (one_id, one) in enumerate(ours.items()):
        for column, (other_id, other) in enumerate(theirs.items()):
            if same[row, column] and one.key[1] == other.key[1]:
                yield from (one_id, other_id)
