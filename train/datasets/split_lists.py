"""Which videos are for training, validation and testing: lists of names, and the groups that are held out. Shell."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from edge.text import BOM_CHARACTER, TextError, decode_utf8, to_nfc
from train.datasets import scenes
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.datasets.scenes import HeldOut
from train.datasets.video_names import without_suffix

VALIDATION_FILE = "validationlist.txt"  # names the training videos that are held out
VALIDATION_GROUPS = ("g23", "g24", "g25")  # of the training videos
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


def with_validation_list(data: DataSet, folder: Path) -> DataSet:
    """The data set with what VALIDATION_FILE in its folder holds out of the training videos. Raises AnnotationError.

    A line is a name, or has `*` and `?` for other letters; a folder stands for all in it.
    """
    path = folder / VALIDATION_FILE
    if not path.exists():
        return data
    patterns, names = list_of_names(path), [video.name for video in data.train]
    if not patterns:
        raise AnnotationError(f"{path}: names no video; name those to hold out, or take the list away")
    for pattern in patterns:
        if not any(scenes.matches(name, [pattern]) for name in names):
            tested = any(scenes.matches(video.name, [pattern]) for video in data.test)
            why = "is for testing; take it off one list" if tested else "is no training video; correct the name"
            raise AnnotationError(f"{path}: {pattern} {why}")
    marked = (replace(video, validates=scenes.matches(video.name, patterns)) for video in data.train)
    return replace(data, train=tuple(marked))


def held_out(
    videos: Iterable[VideoAnnotation], groups: Collection[str] = VALIDATION_GROUPS
) -> tuple[tuple[VideoAnnotation, ...], tuple[VideoAnnotation, ...]]:
    """Training and validation videos, divided as `choice` says."""
    videos = tuple(videos)
    held = choice(videos, groups).held
    return (
        tuple(video for video, out in zip(videos, held, strict=True) if not out),
        tuple(video for video, out in zip(videos, held, strict=True) if out),
    )


def choice(videos: Sequence[VideoAnnotation], groups: Collection[str] = VALIDATION_GROUPS) -> HeldOut:
    """Which videos are held out: those that a list names; else whole scenes, of which none is divided.

    Scenes are those that the data set tells; of videos named as in UCF101 the `groups`; of videos named as in HMDB
    whole films, about every fifth video of each class; else what folders and names tell.
    """
    if any(video.validates is not None for video in videos):
        return HeldOut(tuple(video.validates is True for video in videos))
    if any(video.scene is not None for video in videos):
        return HeldOut(scenes.of_scenes(videos, [video.scene or video.name for video in videos]))
    names = [scenes.UCF101_NAME.fullmatch(video.name) for video in videos]
    held = tuple(name is not None and name[1] in groups for name in names)
    if videos and all(names):
        return HeldOut(held if any(held) else scenes.of_scenes(videos, scene_names(videos)))
    if videos and all(HMDB_ENDING.search(video.name) for video in videos):
        return HeldOut(tuple(_whole_groups(videos)))
    return scenes.by_names(videos)


def scene_names(videos: Sequence[VideoAnnotation]) -> tuple[str, ...]:
    """The scene of each video: as its data set tells; else its group or film; else what folders and names tell."""
    if any(video.scene is not None for video in videos):
        return tuple(video.scene or video.name for video in videos)
    names = [video.name for video in videos]
    if names and all(map(scenes.UCF101_NAME.fullmatch, names)):
        return tuple(name.rpartition("_")[0] for name in names)
    if names and all(map(HMDB_ENDING.search, names)):
        return tuple(map(group_of, names))
    return scenes.told_by_names(videos)


def group_of(name: str) -> str:
    """The film that a video named as in HMDB was cut from: `HP_2` of `walk/HP_2_walk_f_cm_np1_fr_med_3`."""
    action, _, stem = name.rpartition("/")
    return HMDB_ENDING.sub("", stem).removesuffix(f"_{action.rpartition('/')[2]}")


def _whole_groups(videos: Sequence[VideoAnnotation]) -> list[bool]:
    """True for the videos of whole groups that make up at most every fifth video of each class.

    From the largest group to the smallest, one is held out as soon as that leaves enough of all its classes.
    """
    groups = scene_names(videos)
    size = Counter(groups)
    seen: Counter[int] = Counter()
    out: Counter[int] = Counter()
    held = set()
    for group in sorted(size, key=lambda one: (-size[one], one)):
        classes = Counter(_class(video) for video, mine in zip(videos, groups, strict=True) if mine == group)
        seen += classes
        if all(scenes.HELD_OUT * (out[label] + count) <= seen[label] for label, count in classes.items()):
            out += classes
            held.add(group)
    return [group in held for group in groups]


def _class(video: VideoAnnotation) -> int:
    """The label of its first tube."""
    return video.tubes[0].label if video.tubes else -1
