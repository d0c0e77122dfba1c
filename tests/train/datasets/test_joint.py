from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from train.datasets.annotation_records import AnnotationError, DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.joint import joined, learned_and_validated


def data(labels: tuple[str, ...], folder: str, *names: str, title: str = "own data", quiet: bool = False) -> DataSet:
    """A video of each name, the first with a tube of the first label, and so on; or without any."""
    videos = tuple(
        VideoAnnotation(name, 4, () if quiet else (GroundTruthTube(n, 0, np.ones((4, 4), np.float32)),), quiet=quiet)
        for n, name in enumerate(names)
    )
    return DataSet(labels, videos, (), Path(folder) / "videos", title)


def test_labels_are_the_union_in_order_and_each_video_says_which_were_annotated() -> None:
    both = joined([data(("run", "wave"), "a", "r", "w", title="A"), data(("sit", "run"), "b", "s", "r2", title="B")])
    assert both.labels == ("run", "wave", "sit")
    assert [[(v.name, v.tubes[0].label, v.annotated_labels) for v in part.videos] for part in both.parts] == [
        [("r", 0, (0, 1)), ("w", 1, (0, 1))],
        [("s", 2, (2, 0)), ("r2", 0, (2, 0))],
    ]
    assert [(part.title, part.labels) for part in both.parts] == [("A", (0, 1)), ("B", (2, 0))]
    assert both.title == "A + B"
    assert both.shared_labels() == [("run", ("A", "B"))]
    assert both.files["s"] == Path("b/videos/s.avi")


def test_quiet_videos_are_negatives_for_the_labels_of_all() -> None:
    both = joined([data(("run",), "a", "r"), data((), "b", "street", quiet=True)])
    assert [video.annotated_labels for part in both.parts for video in part.videos] == [(0,), None]
    assert both.labels == ("run",)


def test_videos_of_one_name_keep_apart() -> None:
    both = joined([data(("run",), "a", "one"), data(("wave",), "b", "one")])
    assert [video.name for part in both.parts for video in part.videos] == ["one", "set 2/one"]
    assert both.files == {"one": Path("a/videos/one.avi"), "set 2/one": Path("b/videos/one.avi")}
    assert both.title == "own data (a) + own data (b)"


def test_a_video_that_one_learns_from_and_another_validates_on() -> None:
    """ "shared" is held out in B alone; "own" is in none but A."""
    one, other = data(("run",), "a", "shared", "own", title="A"), data(("run",), "b", "shared", "b2", title="B")
    held = tuple(replace(video, validates=video.name == "shared") for video in other.train)
    learning = replace(one, train=tuple(replace(video, validates=False) for video in one.train))
    sets = [learning, replace(other, train=held)]
    sentence = "learned from in A and validated on in B: if it is one video, that scores too high"
    assert list(learned_and_validated(sets)) == [("shared", sentence)]
    assert list(learned_and_validated(sets[1:])) == []


def test_labels_that_are_nearly_equal_are_refused() -> None:
    with pytest.raises(AnnotationError, match=r"A and B: the actions 'run' and 'Run' differ in capitals or blanks"):
        joined([data(("run",), "a", title="A"), data(("Run",), "b", title="B")])


def test_one_data_set_stays_what_it_is() -> None:
    alone = joined([data(("run", "wave"), "a", "r", "w", title="A")])
    assert (alone.title, alone.labels, alone.parts[0].labels) == ("A", ("run", "wave"), (0, 1))
    assert alone.shared_labels() == []
