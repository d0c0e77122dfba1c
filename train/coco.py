"""Shell. Annotations of videos as COCO keeps those of images (CocoVID of MMTracking, TAO): one JSON file.

`videos` [{id, name, width, height}], `images` [{id, video_id, frame_id from 0}], `categories` [{id, name}],
`annotations` [{image_id, category_id, bbox: [x, y, width, height], track_id or instance_id}].
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from train.annotations import AnnotationError, without_ending
from train.own_tubes import Box, NamedVideo, named_tubes

LARGEST_FRAME = 1_000_000


def read_coco(path: Path) -> tuple[tuple[str, ...], tuple[NamedVideo, ...]]:
    """Labels in order of their ids, and the videos. Crowds are left out. Raises AnnotationError."""
    try:
        content = json.loads(path.read_bytes())
        categories = {_whole(one["id"]): _text(one["name"]) for one in content["categories"]}
        return tuple(name for _, name in sorted(categories.items())), _videos(content, categories)
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); give COCO-style JSON") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, LookupError) else str(error)
        raise AnnotationError(f"{path}: not COCO-style JSON of videos ({reason}); see docs/evaluation.md") from error


def _videos(content: Mapping[str, Any], categories: Mapping[int, str]) -> tuple[NamedVideo, ...]:
    frame_of = {_whole(one["id"]): (_whole(one["video_id"]), _frame(one["frame_id"])) for one in content["images"]}
    tracks: defaultdict[int, defaultdict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for one in content["annotations"]:
        if not one.get("iscrowd"):
            video, frame = frame_of[_whole(one["image_id"])]
            number = _whole(one["track_id"] if "track_id" in one else one["instance_id"])
            tracks[video][number].append(_box(frame, one["bbox"], categories[_whole(one["category_id"])]))
    counts: defaultdict[int, int] = defaultdict(int)
    for video, frame in frame_of.values():
        counts[video] = max(counts[video], frame + 1)
    return tuple(_video(one, counts, tracks[_whole(one["id"])]) for one in content["videos"])


def _video(one: Mapping[str, Any], counts: Mapping[int, int], tracks: Mapping[int, list[Box]]) -> NamedVideo:
    for boxes in tracks.values():
        boxes.sort(key=lambda box: box.frame)
        twice = [later.frame for box, later in pairwise(boxes) if box.frame == later.frame]
        if twice:
            raise ValueError(f"a track of {one['name']} has two boxes in frame {twice[0]}")
    size = (_whole(one["width"]), _whole(one["height"])) if "width" in one and "height" in one else None
    known = size if size is not None and min(size) > 0 else None
    return NamedVideo(
        without_ending(_text(one["name"])), counts[_whole(one["id"])], known, named_tubes(tracks.values())
    )


def _box(frame: int, bbox: Any, label: str) -> Box:
    x, y, width, height = (float(value) for value in bbox)
    if not np.isfinite([x, y, width, height]).all() or max(map(abs, (x, y, width, height))) > 1e6:
        raise ValueError(f"a box of {label} is no box")
    return Box(frame, (x, y, x + width, y + height), label)


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
    return value
