"""Shell. Annotations of videos as COCO keeps those of images (CocoVID of MMTracking, TAO): one JSON file.

`videos` [{id, name, width, height}], `images` [{id, video_id, frame_id from 0}], `categories` [{id, name}],
`annotations` [{id, image_id, category_id, bbox: [x, y, width, height], track_id or instance_id}].
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edge.text import decode_utf8, to_nfc
from train.box_tables import LARGEST_COORDINATE
from train.datasets.annotation_records import LARGEST_FRAME, AnnotationError, reason
from train.datasets.tracks import Box, BoxBudget, NamedVideo, tubes_from_samples
from train.datasets.video_names import without_suffix
from train.safe_reading import bounded_file

NO_VIDEOS = (
    "lists no videos, it is COCO of single images; CocoVID is wanted, which has `videos`, for each image its `video_id`"
    " and `frame_id`, and for each annotation its `track_id`; CVAT does not write that: export each task there as CVAT "
    "for video 1.1 into annotations/ instead, and take this file away"
)
BROKEN = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


def read_coco(path: Path) -> tuple[tuple[str, ...], tuple[NamedVideo, ...]]:
    """Labels in order of their ids, and the videos. Crowds are left out. Raises AnnotationError."""
    try:
        content = _parsed(bounded_file.read(path))
        if not isinstance(content, dict):
            kind = "a list" if isinstance(content, list) else "a single value"
            raise ValueError(f"it begins with {kind}, not with an object")
        if not content.get("videos"):
            raise AnnotationError(f"{path}: {NO_VIDEOS}")
        names = _category_names(content["categories"])
        return tuple(name for _, name in sorted(names.items())), _videos(content, names)
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); give COCO-style JSON") from error
    except BROKEN as error:
        raise AnnotationError(
            f"{path}: not COCO-style JSON of videos ({reason(error)}); see docs/evaluation.md"
        ) from error


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        decode_utf8(content)  # raises with the name of another encoding
        raise


def _category_names(entries: Iterable[Any]) -> dict[int, str]:
    names = {number: _text(one["name"]) for number, one in _by_id("category", entries).items()}
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise ValueError(f"two categories are named {twice[0]}")
    return names


def _videos(content: Mapping[str, Any], categories: Mapping[int, str]) -> tuple[NamedVideo, ...]:
    videos = _by_id("video", content["videos"])
    frame_of = _frames(content["images"], videos)
    tracks: defaultdict[int, defaultdict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for place, one in enumerate(content["annotations"]):
        with _naming_entry("annotation", one, place):
            if not one.get("iscrowd"):
                video, frame = frame_of[_one_of(frame_of, "image", one)]
                label = categories[_one_of(categories, "category", one)]
                tracks[video][_track(one)].append(_box(frame, one["bbox"], label))
    listed: defaultdict[int, list[int]] = defaultdict(list)
    for video, frame in frame_of.values():
        listed[video].append(frame)
    budget = BoxBudget()
    return tuple(_video(one, listed[number], tracks[number], budget) for number, one in videos.items())


def _by_id(kind: str, entries: Iterable[Any]) -> dict[int, Any]:
    """The entries by their ids, in their order; ValueError where two have one id."""
    found: dict[int, Any] = {}
    for place, one in enumerate(entries):
        with _naming_entry(kind, one, place):
            number = _whole(one["id"])
            if number in found:
                raise ValueError(f"two {kind} entries have this id")
            found[number] = one
    return found


def _frames(entries: Iterable[Any], videos: Mapping[int, Any]) -> dict[int, tuple[int, int]]:
    """The video and the frame of each image, by id. ValueError where one is there twice or they are counted from 1."""
    images: dict[int, tuple[int, int]] = {}
    taken: defaultdict[int, set[int]] = defaultdict(set)
    for number, one in _by_id("image", entries).items():
        with _naming_entry("image", one):
            video, frame = _one_of(videos, "video", one), _frame(one["frame_id"])
            if frame in taken[video]:
                raise ValueError(f"another image of video {video} has frame_id {frame} too")
            taken[video].add(frame)
        images[number] = video, frame
    late = next((video for video, frames in taken.items() if min(frames) == 1), None)
    if late is not None:
        raise ValueError(f"video {late}: frame_id begins at 1: count from 0, or list the image of frame 0 too")
    return images


def _video(
    one: Mapping[str, Any], frames: Iterable[int], tracks: Mapping[int, list[Box]], budget: BoxBudget
) -> NamedVideo:
    """A frame without an image is not annotated; tracks are interpolated through it between two near boxes."""
    annotated_frames = np.array(sorted(frames), np.int64)
    for boxes in tracks.values():
        boxes.sort(key=lambda box: box.frame)
        twice = [later.frame for box, later in pairwise(boxes) if box.frame == later.frame]
        if twice:
            raise ValueError(f"a track of {one['name']} has two boxes in frame {twice[0]}")
    size = (_whole(one["width"]), _whole(one["height"])) if "width" in one and "height" in one else None
    known = size if size is not None and min(size) > 0 else None
    tubes = tubes_from_samples(tracks.values(), annotated_frames, budget)
    count = int(annotated_frames.max(initial=-1)) + 1
    return NamedVideo(without_suffix(_text(one["name"])), count, known, tubes, annotated_frames)


def _box(frame: int, bbox: Any, label: str) -> Box:
    if len(bbox) != 4:
        raise ValueError("bbox is not the 4 numbers x, y, width, height")
    x, y, width, height = numbers = [float(value) for value in bbox]
    if not np.isfinite(numbers).all() or max(map(abs, numbers)) > LARGEST_COORDINATE:
        raise ValueError(f"a box of {label} is no box")
    return Box(frame, (x, y, x + width, y + height), label)


@contextmanager
def _naming_entry(kind: str, one: Any, place: int = 0) -> Iterator[None]:
    """Errors inside name this entry, by its id, or by its place where it has none."""
    try:
        yield
    except BROKEN as error:
        number = one["id"] if isinstance(one, dict) and "id" in one else f"at place {place}"
        raise ValueError(f"{kind} {number}: {reason(error)}") from error


def _one_of(known: Collection[int], kind: str, one: Mapping[str, Any]) -> int:
    """The number of another entry that this one names."""
    number = _whole(one[f"{kind}_id"])
    if number not in known:
        raise ValueError(f"{kind}_id {number} is no {kind}")
    return number


def _track(one: Mapping[str, Any]) -> int:
    if "track_id" not in one and "instance_id" not in one:
        raise ValueError("no track_id, nor instance_id")
    return _whole(one["track_id"] if "track_id" in one else one["instance_id"])


def _frame(value: Any) -> int:
    frame = _whole(value)
    if not 0 <= frame <= LARGEST_FRAME:
        raise ValueError(f"frame {frame} is no frame")
    return frame


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no name")
    return to_nfc(value)
