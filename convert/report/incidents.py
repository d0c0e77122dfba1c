"""Single events that were wrong, and actions that were reported late or not at all, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.evaluation.event_judgement import JudgedAction, JudgedEvent, Judgement, LinkedVideo

LATE = 2.0  # seconds from an action's begin to its event, above which that is late


@dataclass(frozen=True, eq=False)
class FalseEvent:
    """An event where nobody does that action."""

    video: str
    action: str
    seconds: float  # into the video, where it scores best
    event: JudgedEvent


@dataclass(frozen=True, eq=False)
class MissedAction:
    """A true action, `seconds` into its video, that was reported late or never.

    `late`: by how many seconds; None: not reported. `frame` and `box` (4,): in its middle.
    """

    video: str
    action: str
    seconds: float
    lasts: float  # seconds
    late: float | None
    frame: int
    box: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Incidents:
    """False events by falling score; missed actions by falling length; late ones by falling delay."""

    false_events: tuple[FalseEvent, ...]
    missed: tuple[MissedAction, ...]
    late: tuple[MissedAction, ...]


def incidents_of(judged: Sequence[tuple[LinkedVideo, Sequence[Judgement]]], labels: Sequence[str]) -> Incidents:
    """Those of all videos; of each video there is one judgement for each of `labels`."""
    wrong, missed, late = [], [], []
    for video, by_label in judged:
        for action, judgement in zip(labels, by_label, strict=True):
            wrong += [_false_event(video, action, event) for event in judgement.events if event.wrong]
            missed += [_missed(video, action, one) for one in judgement.actions if one.reported is None]
            late += [_missed(video, action, o) for o in judgement.actions if o.delay is not None and o.delay > LATE]
    return Incidents(
        tuple(sorted(wrong, key=lambda one: (-one.event.score, one.video, one.event.first))),
        tuple(sorted(missed, key=lambda one: (-one.lasts, one.video, one.frame))),
        tuple(sorted(late, key=lambda one: (-(one.late or 0), one.video, one.frame))),
    )


def _false_event(video: LinkedVideo, action: str, event: JudgedEvent) -> FalseEvent:
    return FalseEvent(video.name, action, event.best / video.frame_rate, event)


def _missed(video: LinkedVideo, action: str, one: JudgedAction) -> MissedAction:
    tube, rate = one.tube, video.frame_rate
    middle = len(tube.boxes) // 2
    begin, lasts = tube.first_frame / rate, len(tube.boxes) / rate
    return MissedAction(video.name, action, begin, lasts, one.delay, tube.first_frame + middle, tube.boxes[middle])
