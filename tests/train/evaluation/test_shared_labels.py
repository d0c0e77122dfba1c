"""What a model and a data set both know, what is said of the rest, and the videos that are left to score."""

from pathlib import Path

import numpy as np
import pytest

from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import EvaluationError

MODEL = Path("model.onnx")


def data(*labels: str) -> DataSet:
    return DataSet(labels, (), (), Path("videos"), "own data")


@pytest.mark.parametrize(
    ("known", "wanted", "labels", "sentence"),
    [
        (("run", "jump"), ("jump", "run"), ("jump", "run"), ""),
        (
            ("run", "jump", "walk"),
            ("walk", "run"),
            ("walk", "run"),
            "Scored on the 2 actions that both know; left out: the model's jump, which own data does not annotate.",
        ),
        (
            ("run",),
            ("sit", "run", "wave"),
            ("run",),
            "Scored on the one action that both know; left out: the data's sit, wave, which the model does not know.",
        ),
        (
            ("run", "Walk"),
            ("run", "walk"),
            ("run",),
            "Scored on the one action that both know; left out: the model's Walk, which own data does not annotate; "
            "the data's walk, which the model does not know; 'Walk' and 'walk' are one action only if they are spelt "
            "alike.",
        ),
    ],
)
def test_what_both_know(
    known: tuple[str, ...], wanted: tuple[str, ...], labels: tuple[str, ...], sentence: str
) -> None:
    both = shared_labels(known, data(*wanted), MODEL)
    assert both.labels == labels
    assert both.sentence("own data") == sentence
    assert set(both.left_out["of_model"]) == set(known) - set(labels)
    assert set(both.left_out["of_data"]) == set(wanted) - set(labels)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("model.onnx", "give --data with some of its actions, name them in both alike, or train it on this data"),
        ("found.npz", "give the --data whose actions were detected, or detect with a model that was trained on this"),
    ],
)
def test_nothing_in_common_is_refused(source: str, remedy: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        shared_labels(("sit",), data("run", "jump"), Path(source))
    assert str(caught.value).startswith(
        f"{source}: knows none of the actions of own data (run, jump), only sit; {remedy}"
    )
    with pytest.raises(EvaluationError, match=r"of own data \(none\), only sit"):
        shared_labels(("sit",), data(), Path(source))


def test_videos_keep_the_tubes_that_count_and_stay_as_negatives_without_any() -> None:
    def tube(label: int) -> GroundTruthTube:
        return GroundTruthTube(label, 0, np.ones((3, 4), np.float32))

    videos = (VideoAnnotation("a", 3, (tube(0), tube(2), tube(1))), VideoAnnotation("b", 3, (tube(0),)))
    both = shared_labels(("wave", "run"), data("sit", "run", "wave"), MODEL)
    assert both.labels == ("run", "wave")
    assert [(video.name, [one.label for one in video.tubes]) for video in both.of(videos)] == [("a", [1, 0]), ("b", [])]
