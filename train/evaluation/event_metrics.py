"""Saved detections → the events that the daemon would publish, counted against the true actions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge import events
from edge.boxes import iou
from edge.event_settings import KEEP_RATIO, ActionSettings, EventSettings
from edge.events import Event
from edge.linker import Linker
from edge.sources import Frame
from edge.tubes import TubeBox
from train.datasets.annotated_frames import covered, mask
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.datasets.frame_kinds import idle
from train.evaluation.detection_file import SavedDetections, indices_in
from train.evaluation.event_counts import EventCounts
from train.evaluation.linking import tubes_by_frame

SAME_PERSON = 0.3  # IoU; whether an event is right does not depend on how tight its box is
MIN_ANNOTATED = 0.5  # share of an event's frames that must be annotated before it can count as wrong

Truth = Mapping[str, VideoAnnotation]  # by the video's name; labels as in the detections
TubesByFrame = Sequence[Sequence[TubeBox]]  # all live tubes of frame 0, 1, 2 …


@dataclass(frozen=True, eq=False)
class LinkedVideo:
    """One video, linked: its tubes, and its frames per second.

    (frames,): `annotated`; `covered`, annotated or shortly between such frames; `idle`, annotated without an action.
    """

    tubes: TubesByFrame
    frame_rate: float
    annotated: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    idle: NDArray[np.bool_]


def truth_by_video(videos: Sequence[VideoAnnotation], labels: Sequence[str], found: SavedDetections) -> Truth:
    """The truth of `videos`, whose labels are those of `labels`, with the labels of the detections.

    Actions that the model does not know are no truth for any label, but where one is, it is no idle time.
    """
    numbers = indices_in(labels, found.label_names).tolist()
    return {
        video.name: replace(video, tubes=tuple(replace(tube, label=numbers[tube.label]) for tube in video.tubes))
        for video in videos
    }


def settings_at(start_score: float) -> EventSettings:
    """The default settings with another start score, and keep_score in proportion to it."""
    return EventSettings(ActionSettings(start_score=start_score, keep_score=KEEP_RATIO * start_score))


def settings_by_action(start_scores: Mapping[str, float]) -> EventSettings:
    """The default settings with other start scores for some actions."""
    return EventSettings(actions={action: settings_at(score).default for action, score in start_scores.items()})


def count_events(
    found: SavedDetections,
    truth: Truth,
    linker: Linker,
    rules: Sequence[EventSettings],
    after_each: Callable[[], object] = lambda: None,
) -> tuple[tuple[EventCounts, ...], ...]:
    """For each of `rules` the counts of each label; every video is linked once."""
    labels = found.label_names
    counts = [[EventCounts()] * len(labels) for _ in rules]
    for index, name in enumerate(found.video_names):
        tubes, frame_rate = tubes_by_frame(found, index, linker), found.rate(index)
        size = tuple(found.frame_sizes[index].tolist())
        true = truth.get(name) or VideoAnnotation(name, 0, ())
        video = _linked_video(tubes, true, frame_rate)
        true_tubes = [tube for tube in true.tubes if video.annotated[tube.first_frame : tube.end_frame].any()]
        for row, rule in zip(counts, rules, strict=True):
            published = _events(tubes, size, labels, frame_rate, rule)
            for label, action in enumerate(labels):
                of_action = [event for event in published if event.action == action]
                of_label = [tube for tube in true_tubes if tube.label == label]
                row[label] += _count(video, of_action, of_label, label, rule.for_action(action).start_score)
        after_each()
    return tuple(map(tuple, counts))


def _events(
    tubes: TubesByFrame, size: tuple[int, int], labels: Sequence[str], frame_rate: float, rules: EventSettings
) -> list[Event]:
    """All steps of all events of one video, closed at its end."""
    state = events.initial("video", "evaluation")
    picture: NDArray[np.uint8] = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))
    published: list[Event] = []
    for index, tube_boxes in enumerate(tubes):
        frame = Frame("video", index, index / frame_rate, index / frame_rate, picture)
        state, steps = events.step(state, tube_boxes, frame, labels, rules)
        published += steps
    return [*published, *events.close(state, len(tubes) / frame_rate, "shutdown")]


def _linked_video(tubes: TubesByFrame, true: VideoAnnotation, frame_rate: float) -> LinkedVideo:
    """Frames beyond the end of the annotation are not annotated, where its length is known."""
    masks = [of(true.annotated_frames, len(tubes)) for of in (mask, covered)]
    masks.append(idle(true, len(tubes)))
    for frames in masks:
        frames[true.frames or len(tubes) :] = False
    return LinkedVideo(tubes, frame_rate, *masks)


def _count(
    video: LinkedVideo, published: Sequence[Event], truth: Sequence[GroundTruthTube], label: int, start_score: float
) -> EventCounts:
    """The counts of one video and one action; `published` and `truth` hold no others.

    An event is right by its annotated frames, and wrong only where most of it is annotated.
    """
    boxes = {(frame, tube.tube): tube.box for frame, live in enumerate(video.tubes) for tube in live}
    new_at = {event.event_id: event.frame_index for event in published if event.type == "new"}
    first_right: dict[int, int] = {}  # true tube → frame in which its first right event was published
    judged = wrong = false_alarms = 0
    for event in (step for step in published if step.type == "end"):
        first = round(event.started_monotonic * video.frame_rate)
        last = first + round(event.duration * video.frame_rate)
        mine = {frame: boxes[frame, event.tube] for frame in range(first, last + 1) if video.annotated[frame]}
        right = [place for place, tube in enumerate(truth) if _same_person(mine, tube)]
        for place in right:
            first_right[place] = min(new_at[event.event_id], first_right.get(place, len(video.tubes)))
        false = not right and bool(video.covered[first : last + 1].mean() >= MIN_ANNOTATED)
        judged += bool(right) or false
        wrong += false
        false_alarms += false and bool(video.idle[first])
    delays = _delays(video, [(truth[place].first_frame, frame) for place, frame in first_right.items()])
    seconds, idle_seconds = (int(frames.sum()) / video.frame_rate for frames in (video.annotated, video.idle))
    above = _above_start_score(video, label, start_score)
    return EventCounts(seconds, idle_seconds, len(truth), len(first_right), delays, judged, wrong, false_alarms, above)


def _delays(video: LinkedVideo, recalled: Iterable[tuple[int, int]]) -> tuple[float, ...]:
    """Seconds from each action's first frame to that in which its first right event was published.

    Only of actions that are known to begin there: with the video, or after an annotated frame.
    """
    known = ((first, frame) for first, frame in recalled if not first or video.covered[first - 1])
    return tuple((frame - first) / video.frame_rate for first, frame in known)


def _above_start_score(video: LinkedVideo, label: int, start_score: float) -> int:
    return sum(
        bool(tube.class_scores[label] >= start_score)
        for frame in np.flatnonzero(video.idle).tolist()
        for tube in video.tubes[frame]
        if tube.observed
    )


def _same_person(mine: Mapping[int, NDArray[np.float32]], tube: GroundTruthTube) -> bool:
    """Whether the boxes by frame lie on the true ones in at least one frame of both."""
    pairs = [
        (box, tube.boxes[frame - tube.first_frame])
        for frame, box in mine.items()
        if tube.first_frame <= frame < tube.end_frame
    ]
    return any(float(iou(box[None], true[None])[0, 0]) >= SAME_PERSON for box, true in pairs)
