"""Which videos are for training, validation and testing: lists of names, and the groups that are held out. Shell."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from edge.text import BOM_CHARACTER, TextError, decode_utf8, to_nfc
from train.datasets.annotation_records import AnnotationError, VideoAnnotation
from train.datasets.video_names import without_suffix

VALIDATION_GROUPS = ("g23", "g24", "g25")  # of the training videos
HELD_OUT = 5  # one of so many videos, where no groups are numbered
# of the names of HMDB51 and J-HMDB, after film and action: what is seen of the body, whether the camera moves,
# how many people, from which side, how good, and the number of the clip
HMDB_ENDING = re.compile(r"_[fuhl]_(cm|nm)_np\d+_(fr|ba|le|ri)_(goo|med|bad)_\d+$")


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

    Of videos named as in HMDB, whose groups are clips of one film, about every fifth of each class does; where names
    tell no group, every fifth exactly.
    """
    videos = tuple(videos)
    names = [re.search(r"_(g\d\d)_", f"{video.name}_") for video in videos]
    if any(names):
        held = [name is not None and name[1] in groups for name in names]
    elif videos and all(HMDB_ENDING.search(video.name) for video in videos):
        held = _whole_groups(videos)
    else:
        held = _every_fifth(videos)
    return (
        tuple(video for video, out in zip(videos, held, strict=True) if not out),
        tuple(video for video, out in zip(videos, held, strict=True) if out),
    )


def group_of(name: str) -> str:
    """The film that a video named as in HMDB was cut from: `HP_2` of `walk/HP_2_walk_f_cm_np1_fr_med_3`."""
    action, _, stem = name.rpartition("/")
    return HMDB_ENDING.sub("", stem).removesuffix(f"_{action.rpartition('/')[2]}")


def _whole_groups(videos: Sequence[VideoAnnotation]) -> list[bool]:
    """True for the videos of whole groups that make up at most every fifth video of each class.

    From the largest group to the smallest, one is held out as soon as that leaves enough of all its classes.
    """
    groups = [group_of(video.name) for video in videos]
    size = Counter(groups)
    seen: Counter[int] = Counter()
    out: Counter[int] = Counter()
    held = set()
    for group in sorted(size, key=lambda one: (-size[one], one)):
        classes = Counter(_class(video) for video, mine in zip(videos, groups, strict=True) if mine == group)
        seen += classes
        if all(HELD_OUT * (out[label] + count) <= seen[label] for label, count in classes.items()):
            out += classes
            held.add(group)
    return [group in held for group in groups]


def _every_fifth(videos: Iterable[VideoAnnotation]) -> list[bool]:
    """True for the last of each five videos of one class."""
    seen: Counter[int] = Counter()
    held = []
    for video in videos:
        seen[_class(video)] += 1
        held.append(seen[_class(video)] % HELD_OUT == 0)
    return held


def _class(video: VideoAnnotation) -> int:
    """The label of its first tube."""
    return video.tubes[0].label if video.tubes else -1
