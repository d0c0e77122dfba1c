"""Each event that saved detections would give, right or wrong, and when each true action would be reported."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge import events
from edge.boxes import iou
from edge.default_linker import for_events
from edge.event_settings import EventSettings
from edge.events import Event
from edge.linker import Linker
from edge.sources import Frame
from edge.tubes import TubeBox
from train.datasets.annotated_frames import covered, mask
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.datasets.frame_kinds import idle
from train.evaluation.detection_file import SavedDetections
from train.evaluation.linking import tubes_by_frame

SAME_PERSON = 0.3  # IoU; whether an event is right does not depend on how tight its box is
MIN_ANNOTATED = 0.5  # share of an event's frames that must be annotated before it can count as wrong

Truth = Mapping[str, VideoAnnotation]  # by the video's name; labels as in the detections
TubesByFrame = Sequence[Sequence[TubeBox]]  # all live tubes of frame 0, 1, 2 …


@dataclass(frozen=True, eq=False)
class LinkedVideo:
    """One video, linked: its tubes, its frames per second, and the true tubes in its annotated frames.

    (frames,): `annotated`; `covered`, annotated or shortly between such frames; `idle`, annotated without an action.
    `size`: width and height, pixels.
    """

    name: str
    size: tuple[int, int]
    tubes: TubesByFrame
    frame_rate: float
    true_tubes: tuple[GroundTruthTube, ...]
    annotated: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    idle: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class JudgedEvent:
    """One event from frame `first` to `last`; its highest score, 0..1, is in frame `best`, with its box (4,) there.

    `right`: it lies on a true action of its class. `wrong`: it does not, where that is known; neither where most of
    it is not annotated. `false_alarm`: it is wrong and began while there was no action at all.
    """

    first: int
    last: int
    best: int
    score: float
    box: NDArray[np.float32]
    right: bool
    wrong: bool
    false_alarm: bool


@dataclass(frozen=True, eq=False)
class JudgedAction:
    """One true action and the frame in which its first right event was published; None: it never was.

    `delay`: seconds until then from its first frame; None where it was not published, or its begin is not known.
    """

    tube: GroundTruthTube
    reported: int | None
    delay: float | None


@dataclass(frozen=True, eq=False)
class Judgement:
    """The events and true actions of one class in one video."""

    events: tuple[JudgedEvent, ...]
    actions: tuple[JudgedAction, ...]


def judge_events(
    found: SavedDetections,
    truth: Truth,
    linker: Linker,
    rules: EventSettings,
    after_each: Callable[[], object] = lambda: None,
) -> Iterator[tuple[LinkedVideo, tuple[Judgement, ...]]]:
    """Each video with its judgements, one for each label."""
    for video in linked_videos(found, truth, for_events(linker, rules, found.label_names)):
        published = published_events(video, found.label_names, rules)
        yield video, tuple(judge(video, published, n, action) for n, action in enumerate(found.label_names))
        after_each()


def linked_videos(found: SavedDetections, truth: Truth, linker: Linker) -> Iterator[LinkedVideo]:
    """Each video, linked; frames beyond the end of the annotation are not annotated, where its length is known."""
    for index, name in enumerate(found.video_names):
        tubes, true = tubes_by_frame(found, index, linker), truth.get(name) or VideoAnnotation(name, 0, ())
        masks = [of(true.annotated_frames, len(tubes)) for of in (mask, covered)]
        masks.append(idle(true, len(tubes)))
        for frames in masks:
            frames[true.frames or len(tubes) :] = False
        true_tubes = tuple(tube for tube in true.tubes if masks[0][tube.first_frame : tube.end_frame].any())
        width, height = found.frame_sizes[index].tolist()
        yield LinkedVideo(name, (width, height), tubes, found.rate(index), true_tubes, *masks)


def published_events(video: LinkedVideo, labels: Sequence[str], rules: EventSettings) -> list[Event]:
    """All steps of all events of one video, closed at its end."""
    state = events.initial("video", "evaluation")
    picture: NDArray[np.uint8] = np.broadcast_to(np.uint8(0), (video.size[1], video.size[0], 3))
    published: list[Event] = []
    for index, tube_boxes in enumerate(video.tubes):
        frame = Frame("video", index, index / video.frame_rate, index / video.frame_rate, picture)
        state, steps = events.step(state, tube_boxes, frame, labels, rules)
        published += steps
    return [*published, *events.close(state, len(video.tubes) / video.frame_rate, "shutdown")]


def judge(video: LinkedVideo, published: Sequence[Event], label: int, action: str) -> Judgement:
    """The events and true tubes of one class.

    An event is right by its annotated frames, and wrong only where most of it is annotated.
    """
    truth = [tube for tube in video.true_tubes if tube.label == label]
    people = {(frame, tube.tube): tube for frame, live in enumerate(video.tubes) for tube in live}
    mine = [event for event in published if event.action == action]
    new_at = {event.event_id: event.frame_index for event in mine if event.type == "new"}
    reported: dict[int, int] = {}  # true tube → frame in which its first right event was published
    judged = []
    for event in (step for step in mine if step.type == "end"):
        first = round(event.started_monotonic * video.frame_rate)
        last = first + round(event.duration * video.frame_rate)
        shown = {frame: people[frame, event.tube] for frame in range(first, last + 1) if (frame, event.tube) in people}
        boxes = {frame: shown[frame].box for frame in shown if video.annotated[frame]}
        right = [place for place, tube in enumerate(truth) if _same_person(boxes, tube)]
        for place in right:
            reported[place] = min(new_at[event.event_id], reported.get(place, len(video.tubes)))
        best = max(shown, key=lambda frame: float(shown[frame].class_scores[label]), default=first)
        box = shown[best].box if shown else event.box
        wrong = not right and bool(video.covered[first : last + 1].mean() >= MIN_ANNOTATED)
        false_alarm = wrong and bool(video.idle[first])
        judged.append(JudgedEvent(first, last, best, event.top_score, box, bool(right), wrong, false_alarm))
    return Judgement(tuple(judged), tuple(_action(video, tube, reported.get(n)) for n, tube in enumerate(truth)))


def _action(video: LinkedVideo, tube: GroundTruthTube, reported: int | None) -> JudgedAction:
    """Its delay is known if it begins with the video, or after an annotated frame."""
    known = reported is not None and (not tube.first_frame or video.covered[tube.first_frame - 1])
    delay = (reported - tube.first_frame) / video.frame_rate if reported is not None and known else None
    return JudgedAction(tube, reported, delay)


def _same_person(mine: Mapping[int, NDArray[np.float32]], tube: GroundTruthTube) -> bool:
    """Whether the boxes by frame lie on the true ones in at least one frame of both."""
    pairs = [
        (box, tube.boxes[frame - tube.first_frame])
        for frame, box in mine.items()
        if tube.first_frame <= frame < tube.end_frame
    ]
    return any(float(iou(box[None], true[None])[0, 0]) >= SAME_PERSON for box, true in pairs)
