"""What is wrong with annotations: boxes, tubes, lists, and how they fit the files. Arithmetic on shells' records."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from train.box_tables import Tube
from train.datasets.annotated_frames import as_text, mask
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.frame_kinds import frame_kinds
from train.overlap import paired_iou, tube_iou

OUTSIDE = 1.5  # pixels that a corner may lie beyond the frame: annotation tools round
SMALLEST = 4.0  # pixels of a side; less is no person
LONGER = 2  # frames by which file and annotation may differ
NEAR = 0.5  # overlap of boxes in a frame, without which two tubes are hardly one
MOST_BESIDE = 500
MOST_APART = 1.5  # times: frame rates of one data set
FEW = 5  # tubes of one box are no mistake
ANOTHER = "copy the video that was annotated, or annotate this one"
TWICE = 0.9  # two tubes of one label that overlap by more are one


@dataclass(frozen=True)
class Fault:
    """One finding: the video ("" for the data set), what is wrong, and whether training on it would go wrong."""

    video: str
    text: str
    serious: bool = True


@dataclass(frozen=True)
class FileFacts:
    """What a video file holds: frames (None where not counted) and (width, height); or why it cannot be read.

    `damaged` are the numbers of frames, from 0, that cannot be decoded; `missing` bytes lie beyond the file's end.
    `rate`: frames a second, 0 where unknown.
    """

    frames: int | None = None
    size: tuple[int, int] | None = None
    unreadable: str = ""
    damaged: tuple[int, ...] = ()
    missing: int = 0
    rate: float = 0.0


def faults(data: DataSet, files: Mapping[str, FileFacts]) -> list[Fault]:
    """Everything that is wrong; `files` by video name, without those that are not to be checked."""
    videos = [*data.train, *data.test]
    found = list(_of_lists(data))
    for video in videos:
        sized = replace(video, size=video.size or files.get(video.name, FileFacts()).size)
        found += [Fault(video.name, text) for text in _of_tubes(sized, data.labels)]
        if video.name in files:
            found += _of_file(video, files[video.name])
            found += _beyond(video, files[video.name], data.labels)
    found += _of_shapes(videos)
    found += _of_rates(data, files)
    return [*found, *(note for video in videos for note in _of_looking(video, files.get(video.name, FileFacts())))]


def _of_lists(data: DataSet) -> Iterator[Fault]:
    quiet = not data.labels and all(video.quiet for video in (*data.train, *data.test))
    if not quiet and not any(video.tubes for video in (*data.train, *data.test)):
        yield Fault("", "no video shows any action; check what was exported")
    for part, videos in (("train", data.train), ("test", data.test)):
        if not videos:
            yield Fault("", f"no video for {part}", serious=part == "train")
        twice = [name for name, count in Counter(video.name for video in videos).items() if count > 1]
        yield from (Fault(name, f"twice in the list for {part}; take one line away") for name in twice)
        shown = Counter(tube.label for video in videos for tube in video.tubes)
        missing = [label for number, label in enumerate(data.labels) if not shown[number]]
        if videos and missing:
            text = f"no tube of {', '.join(missing)} for {part}; annotate some, or take that off the actions"
            yield Fault("", text, serious=part == "train")
    names = {video.name for video in data.train}
    both = "for training and for testing; take it off one list"
    yield from (Fault(video.name, both) for video in data.test if video.name in names)


def _of_shapes(videos: Sequence[VideoAnnotation]) -> Iterator[Fault]:
    """Annotation tools have single shapes beside tracks; each would become a tube by itself."""
    counts = [
        int(mask(v.annotated_frames, tube.end_frame)[tube.first_frame :].sum()) for v in videos for tube in v.tubes
    ]
    single = counts.count(1)
    if single >= FEW and 2 * single > len(counts):
        text = f"{single} of {len(counts)} tubes have one box: draw each action as one track, not as shapes"
        yield Fault("", text, serious=False)


def _of_rates(data: DataSet, files: Mapping[str, FileFacts]) -> Iterator[Fault]:
    """Motion is that of frames side by side, whatever time lies between: of other rates it looks otherwise."""
    known = [(files[video.name].rate, video.name) for video in data.train if video.name in files]
    rates = sorted(one for one in known if one[0])
    if data.rate is None and rates and rates[-1][0] > MOST_APART * rates[0][0]:
        low, high = (f"{rate:.3g} ({name})" for rate, name in (rates[0], rates[-1]))
        text = f"frames a second are {low} to {high}, and motion is learned from frame to frame in all videos"
        yield Fault("", f"{text}: film at one rate, or convert them before they are annotated", serious=False)


def _of_tubes(video: VideoAnnotation, labels: Sequence[str]) -> Iterator[str]:
    for tube in video.tubes:
        where = f"{labels[tube.label]} in frames {tube.first_frame + 1} to {tube.end_frame}"
        where += f" ({tube.origin})" if tube.origin else ""
        yield from (f"{where}: {text}" for text in _of_boxes(tube, video))
    for tube in doubled(video):
        where = f" ({tube.origin})" if tube.origin else ""
        first = tube.first_frame + 1
        yield f"{labels[tube.label]} is annotated twice from frame {first} on{where}; delete one of the two"


def doubled(video: VideoAnnotation) -> Iterator[GroundTruthTube]:
    """The tubes of a video that duplicate an earlier one of their label, label by label."""
    long = [tube for tube in video.tubes if len(tube.boxes)]
    for label in sorted({tube.label for tube in long}):
        mine = (tube for tube in long if tube.label == label)
        yield from _doubled(sorted(mine, key=lambda tube: tube.first_frame))


def _doubled(tubes: Sequence[GroundTruthTube]) -> Iterator[GroundTruthTube]:
    """The tubes that duplicate an earlier one.

    The tubes are of one label, ordered by their first frames. Pairs are compared closely where they share almost all of
    their time, and in a first, middle or last common frame half of their boxes. Of tubes in the same frames by the
    hundreds only the first MOST_BESIDE are compared.
    """
    first = np.array([tube.first_frame for tube in tubes], np.int64)
    ends = np.array([tube.end_frame for tube in tubes], np.int64)
    places = np.cumsum([0, *(len(tube.boxes) for tube in tubes)])[:-1]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(tube.boxes for tube in tubes)])
    for number, one in enumerate(tubes):
        last_begin = one.first_frame + (1 / TWICE - 1) * len(one.boxes)
        others = np.arange(number + 1, np.searchsorted(first, last_begin, "right"))[:MOST_BESIDE]
        common = np.minimum(ends[others], one.end_frame) - first[others]
        union = len(one.boxes) + ends[others] - first[others] - common
        others = others[common > TWICE * union]
        end = np.minimum(ends[others], one.end_frame)
        near = np.zeros(len(others), np.bool_)
        for frames in (first[others], (first[others] + end) // 2, end - 1):
            theirs = boxes[places[others] + frames - first[others]]
            near |= paired_iou(one.boxes[frames - one.first_frame], theirs) > NEAR
        for other in others[near].tolist():
            if tube_iou(_tube(one), _tube(tubes[other])) > TWICE:
                yield tubes[other]


def _of_boxes(tube: GroundTruthTube, video: VideoAnnotation) -> Iterator[str]:
    boxes = tube.boxes
    if not len(boxes):
        yield "no box; delete it"
        return
    if video.frames and tube.end_frame > video.frames:
        yield f"continues after the last frame, {video.frames}; end it there, or annotate the video that it is of"
    sides = boxes[:, 2:] - boxes[:, :2]
    yield from _first(tube, (sides <= 0).any(axis=1), "a box without area", "draw it anew")
    small = (sides > 0).all(axis=1) & (sides < SMALLEST).any(axis=1)
    yield from _first(tube, small, f"a box with a side below {SMALLEST:g} pixels", "draw it around the person")
    low, high = boxes[:, :2].min(axis=1), np.zeros(len(boxes))
    if video.size is not None:
        high = (boxes[:, 2:] - np.array(video.size)).max(axis=1)
    yield from _first(tube, (low < -OUTSIDE) | (high > OUTSIDE), "a box that leaves the frame", "draw it inside")
    leap = np.append(False, paired_iou(boxes[:-1], boxes[1:]) == 0)
    yield from _first(
        tube,
        leap & (sides > 0).all(axis=1),
        "a box that does not touch the one before",
        "make two tracks of two people",
    )


def _first(tube: GroundTruthTube, wrong: ArrayLike, text: str, cure: str) -> Iterator[str]:
    places = np.flatnonzero(np.asarray(wrong))
    if len(places):
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield f"{text} in frame {tube.first_frame + places[0] + 1}{more}; {cure}"


def _of_file(video: VideoAnnotation, file: FileFacts) -> Iterator[Fault]:
    if file.unreadable:
        yield Fault(video.name, file.unreadable)
        return
    if file.frames is not None and video.frames:
        missing = video.frames - file.frames
        if missing > LONGER or (video.annotated_frames is None and missing < -LONGER):
            text = f"{video.frames} frames are annotated, the file has {file.frames}; {ANOTHER}"
            yield Fault(video.name, text)
    if file.missing:
        yield Fault(video.name, f"the file is cut short, {file.missing} bytes too soon: copy it again")
    if file.damaged:
        text = f"{len(file.damaged)} of {file.frames} frames cannot be decoded and count as nothing: "
        yield Fault(video.name, text + as_text(np.array(file.damaged)), serious=False)
    if file.size is not None and video.size is not None and file.size != video.size:
        annotated, real = ("x".join(map(str, size)) for size in (video.size, file.size))
        yield Fault(video.name, f"annotated at {annotated}, the file is {real}; {ANOTHER}")


def _beyond(video: VideoAnnotation, file: FileFacts, labels: Sequence[str]) -> Iterator[Fault]:
    """The first tube with boxes after the last frame of the file, by more than annotation tools miscount."""
    if file.unreadable or file.frames is None:
        return
    late = next((tube for tube in video.tubes if tube.end_frame > (file.frames or 0) + LONGER), None)
    if late is not None:
        where = f" ({late.origin})" if late.origin else ""
        yield Fault(
            video.name,
            f"{labels[late.label]}{where} has boxes up to frame {late.end_frame}, and the file ends with frame "
            f"{file.frames}; end the track there, or copy the whole video",
        )


def _of_looking(video: VideoAnnotation, file: FileFacts) -> Iterator[Fault]:
    """Which frames are not annotated."""
    if video.annotated_frames is None:
        return
    if not len(video.annotated_frames):
        yield Fault(video.name, "none of its frames is annotated: annotate it, or take it off the lists")
        return
    unseen = frame_kinds(video, file.frames or 0).not_annotated
    if unseen > LONGER:
        total = unseen + len(video.annotated_frames)
        text = f"{unseen} of {total} frames are not annotated and count as nothing; annotated: "
        yield Fault(video.name, text + as_text(video.annotated_frames), serious=False)


def _tube(tube: GroundTruthTube) -> Tube:
    return Tube(0, tube.label, 1.0, tube.first_frame, tube.boxes)
