"""Which videos are for training, validation and testing: lists of names, and the groups that are held out. Shell."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from edge.text import BOM_CHARACTER, TextError, decode_utf8, to_nfc
from train.datasets.annotation_records import AnnotationError, VideoAnnotation
from train.datasets.video_names import without_suffix

VALIDATION_GROUPS = ("g23", "g24", "g25")  # of the training videos


def list_of_names(path: Path) -> list[str]:
    """The names of a list, one a line in UTF-8, without the endings of videos. Raises AnnotationError."""
    try:
        lines = (
            decode_utf8(path.read_bytes()).replace(BOM_CHARACTER, "").split("\n")
        )  # lists may have been put together
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); write one name a line into it") from error
    except TextError as error:
        raise AnnotationError(f"{path}: {error}, one name a line") from error
    return [without_suffix(to_nfc(name)) for line in lines if (name := line.strip())]


def held_out(
    videos: Iterable[VideoAnnotation], groups: Collection[str] = VALIDATION_GROUPS
) -> tuple[tuple[VideoAnnotation, ...], tuple[VideoAnnotation, ...]]:
    """Training and validation videos: whole groups (`g23`) go to validation, because a group shares one scene.

    Where no name carries a group, every fifth video of each class is for validation.
    """
    videos = tuple(videos)
    names = [re.search(r"_(g\d\d)_", f"{video.name}_") for video in videos]
    if any(names):
        held = [name is not None and name[1] in groups for name in names]
    else:
        held = _every_fifth(videos)
    return (
        tuple(video for video, out in zip(videos, held, strict=True) if not out),
        tuple(video for video, out in zip(videos, held, strict=True) if out),
    )


def _every_fifth(videos: Iterable[VideoAnnotation]) -> list[bool]:
    """True for the last of each five videos whose first tube is of one class."""
    seen: Counter[int] = Counter()
    held = []
    for video in videos:
        label = video.tubes[0].label if video.tubes else -1
        seen[label] += 1
        held.append(seen[label] % 5 == 0)
    return held
