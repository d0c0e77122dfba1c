"""What is wrong with annotations: boxes, tubes, lists, and how they fit the files. Arithmetic on shells' records."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from train.annotations import DataSet, GroundTruthTube, VideoAnnotation
from train.frame_kinds import frame_kinds
from train.looked_at import in_words
from train.matching import paired_iou, tube_iou
from train.tables import Tube

OUTSIDE = 1.5  # pixels that a corner may lie beyond the frame: annotation tools round
SMALLEST = 4.0  # pixels of a side; less is nobody
LONGER = 2  # frames by which file and annotation may differ
TWICE = 0.9  # two tubes of one label that overlap by more are one


@dataclass(frozen=True)
class Fault:
    """One finding: the video ("" for the data set), what is wrong, and whether training on it would go wrong."""

    video: str
    text: str
    serious: bool = True


@dataclass(frozen=True)
class FileFacts:
    """What a video file holds: frames (None where nobody counted) and (width, height); or why it cannot be read.

    `damaged` are the numbers of frames, from 0, that cannot be decoded; `missing` bytes lie beyond the file's end.
    """

    frames: int | None = None
    size: tuple[int, int] | None = None
    unreadable: str = ""
    damaged: tuple[int, ...] = ()
    missing: int = 0


def faults(data: DataSet, files: Mapping[str, FileFacts]) -> list[Fault]:
    """Everything that is wrong; `files` by video name, without those that are not to be looked at."""
    videos = [*data.train, *data.test]
    found = list(_of_lists(data))
    for video in videos:
        found += [Fault(video.name, text) for text in _of_tubes(video, data.labels)]
        if video.name in files:
            found += _of_file(video, files[video.name])
    return [*found, *(note for video in videos for note in _of_looking(video, files.get(video.name, FileFacts())))]


def _of_lists(data: DataSet) -> Iterator[Fault]:
    if not any(video.tubes for video in (*data.train, *data.test)):
        yield Fault("", "no video shows any action; check what was exported")
    for part, videos in (("train", data.train), ("test", data.test)):
        if not videos:
            yield Fault("", f"no video for {part}")
        twice = [name for name, count in Counter(video.name for video in videos).items() if count > 1]
        yield from (Fault(name, f"twice in the list for {part}") for name in twice)
        shown = Counter(tube.label for video in videos for tube in video.tubes)
        missing = [label for number, label in enumerate(data.labels) if not shown[number]]
        if videos and missing:
            yield Fault("", f"no tube of {', '.join(missing)} for {part}", serious=part == "train")
    names = {video.name for video in data.train}
    yield from (Fault(video.name, "for training and for testing") for video in data.test if video.name in names)


def _of_tubes(video: VideoAnnotation, labels: Sequence[str]) -> Iterator[str]:
    for tube in video.tubes:
        where = f"{labels[tube.label]} in frames {tube.first_frame + 1} to {tube.end_frame}"
        yield from (f"{where}: {text}" for text in _of_boxes(tube, video))
    for one, two in combinations(video.tubes, 2):
        if one.label == two.label and tube_iou(_tube(one), _tube(two)) > TWICE:
            yield f"{labels[one.label]} is annotated twice from frame {two.first_frame + 1} on"


def _of_boxes(tube: GroundTruthTube, video: VideoAnnotation) -> Iterator[str]:
    boxes = tube.boxes
    if not len(boxes):
        yield "no box"
        return
    if video.frames and tube.end_frame > video.frames:
        yield f"goes on after the last frame, {video.frames}"
    sides = boxes[:, 2:] - boxes[:, :2]
    yield from _first(tube, (sides <= 0).any(axis=1), "a box without area")
    small = (sides > 0).all(axis=1) & (sides < SMALLEST).any(axis=1)
    yield from _first(tube, small, f"a box with a side below {SMALLEST:g} pixels")
    low, high = boxes[:, :2].min(axis=1), np.zeros(len(boxes))
    if video.size is not None:
        high = (boxes[:, 2:] - np.array(video.size)).max(axis=1)
    yield from _first(tube, (low < -OUTSIDE) | (high > OUTSIDE), "a box that leaves the frame")
    leap = np.append(False, paired_iou(boxes[:-1], boxes[1:]) == 0)
    yield from _first(tube, leap & (sides > 0).all(axis=1), "a box that does not touch the one before")


def _first(tube: GroundTruthTube, wrong: ArrayLike, text: str) -> Iterator[str]:
    places = np.flatnonzero(np.asarray(wrong))
    if len(places):
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield f"{text} in frame {tube.first_frame + places[0] + 1}{more}"


def _of_file(video: VideoAnnotation, file: FileFacts) -> Iterator[Fault]:
    if file.unreadable:
        yield Fault(video.name, file.unreadable)
        return
    if file.frames is not None and video.frames:
        missing = video.frames - file.frames
        if missing > LONGER or (video.looked_at is None and missing < -LONGER):
            yield Fault(video.name, f"{video.frames} frames are annotated, the file has {file.frames}")
    if file.missing:
        yield Fault(video.name, f"the file is cut short, {file.missing} bytes too soon: copy it anew")
    if file.damaged:
        text = f"{len(file.damaged)} of {file.frames} frames cannot be decoded and count as nothing: "
        yield Fault(video.name, text + in_words(np.array(file.damaged)), serious=False)
    if file.size is not None and video.size is not None and file.size != video.size:
        annotated, real = ("x".join(map(str, size)) for size in (video.size, file.size))
        yield Fault(video.name, f"annotated at {annotated}, the file is {real}")


def _of_looking(video: VideoAnnotation, file: FileFacts) -> Iterator[Fault]:
    """Which frames nobody has looked at."""
    if video.looked_at is None:
        return
    if not len(video.looked_at):
        yield Fault(video.name, "none of its frames is annotated: annotate it, or take it off the lists")
        return
    unseen = frame_kinds(video, file.frames or 0).not_annotated
    if unseen > LONGER:
        total = unseen + len(video.looked_at)
        text = f"{unseen} of {total} frames are not annotated and count as nothing; annotated: "
        yield Fault(video.name, text + in_words(video.looked_at), serious=False)


def _tube(tube: GroundTruthTube) -> Tube:
    return Tube(0, tube.label, 1.0, tube.first_frame, tube.boxes)
