"""Shell. The videos of one split of a data set, and whether their files are there."""

import re
from collections.abc import Sequence
from typing import Literal

from edge.manifest import Manifest
from train.datasets import joint
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.datasets.split_lists import held_out

Split = Literal["test", "train", "validation"]
UCF101 = "UCF101"  # how the titles of its data sets begin
NUMBERED = re.compile(r"(.+) split (\d+)(?: \(.*\))?")  # the title of one of several splits, with a folder or without


class EvaluationError(Exception):
    """An evaluation that cannot be done; the message names the cause and the remedy."""


def videos_to_evaluate(data: DataSet, split: Split, limit: int | None) -> tuple[VideoAnnotation, ...]:
    """At most `limit` videos of a split. Raises EvaluationError where there is none, or a file is missing."""
    chosen = evenly_spaced(of_split(data, split), limit)
    check_videos(data, chosen)
    return chosen


def of_split(data: DataSet, split: Split) -> tuple[VideoAnnotation, ...]:
    """The videos of a split; `validation` is what korsal-train holds out of the training list.

    Raises EvaluationError where there is none.
    """
    training, validation = held_out(data.train)
    splits: dict[Split, tuple[VideoAnnotation, ...]] = {"test": data.test, "train": training, "validation": validation}
    if not splits[split]:
        others = ", ".join(f"{name} holds {len(videos)}" for name, videos in splits.items() if name != split)
        raise EvaluationError(
            f"{data.title}: its split {split} holds no video ({others}); choose another --split, or give a folder "
            f"whose {'testlist.txt' if split == 'test' else 'trainlist.txt'} names enough of them"
        )
    return splits[split]


def trained_on_other_split(model: Manifest, data: DataSet) -> str:
    """That a model was trained on another split of the data, whose videos it may know; "" where it was not."""
    wanted = NUMBERED.fullmatch(data.title)
    known = map(NUMBERED.fullmatch, str(model.training.get("data", "")).split(joint.BETWEEN))
    numbers = [one[2] for one in known if one and wanted and one[1] == wanted[1]]
    if wanted is None or not numbers or wanted[2] in numbers:
        return ""
    return (
        f"{model.name} was trained on {wanted[1]} split {numbers[0]}, so it may have learnt from these videos, and "
        f"scores on {data.title} would be too high; give --fold {numbers[0]}"
    )


def evenly_spaced(videos: Sequence[VideoAnnotation], limit: int | None) -> tuple[VideoAnnotation, ...]:
    """At most `limit` videos, evenly over the list, which is ordered by class."""
    count = min(limit or len(videos), len(videos))
    return tuple(videos[index * len(videos) // count] for index in range(count))


def check_videos(data: DataSet, videos: Sequence[VideoAnnotation]) -> None:
    """EvaluationError where files are missing."""
    missing = [data.video(video.name) for video in videos if not data.video(video.name).exists()]
    if missing:
        raise EvaluationError(
            f"{missing[0]}: no such file, nor of another ending ({len(missing)} of {len(videos)} videos are missing); "
            f"put the videos of {data.title} at {data.videos}/{'<Class>/' * data.title.startswith(UCF101)}"
        )
