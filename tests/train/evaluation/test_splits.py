"""Splits of a data set, and what the files lack for them."""

from pathlib import Path
from typing import Any

import pytest

from edge.manifest import Manifest
from tests.support.annotated_player import LABELS
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.evaluation.splits import EvaluationError, check_videos, of_split, trained_on_other_split


@pytest.mark.parametrize(
    ("title", "remedy"),
    [
        ("UCF101-24 split 1", "put the videos of UCF101-24 split 1 at videos/<Class>/"),
        ("own data", "put the videos of own data at videos/"),
        ("J-HMDB-21 split 2", "put the videos of J-HMDB-21 split 2 at videos/"),
    ],
)
def test_the_remedy_for_missing_videos_is_that_of_the_data_set(
    title: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = DataSet(LABELS, (), (VideoAnnotation("a", 1, ()),), Path("videos"), title)
    with pytest.raises(EvaluationError) as caught:
        check_videos(data, data.test)
    assert str(caught.value).startswith("videos/a.avi: no such file, nor of another ending (1 of 1 videos are missing)")
    assert str(caught.value).endswith(f"; {remedy}")


@pytest.mark.parametrize(
    ("trained_on", "title", "fold"),
    [
        ("J-HMDB-21 split 2", "J-HMDB-21 split 1", "2"),
        ("UCF101-24 split 1 + J-HMDB-21 split 3 (jhmdb)", "J-HMDB-21 split 1", "3"),
        ("UCF101-24 split 1 + J-HMDB-21 split 3", "J-HMDB-21 split 3", ""),
        ("UCF101-24 split 1", "J-HMDB-21 split 3", ""),
        ("J-HMDB-21 split 2 + J-HMDB-21 split 1 (b)", "J-HMDB-21 split 1", ""),
        ("own data", "own data", ""),
        (None, "J-HMDB-21 split 1", ""),
        ([7], "J-HMDB-21 split 1", ""),
    ],
)
def test_a_model_of_another_split(trained_on: Any, title: str, fold: str) -> None:
    """Test videos of one split are training videos of another."""
    model = Manifest("m", LABELS, 64, 64, training={} if trained_on is None else {"data": trained_on})
    warning = trained_on_other_split(model, DataSet(LABELS, (), (), Path("videos"), title))
    assert warning.endswith(f"scores on {title} would be too high; give --fold {fold}" if fold else "")
    assert bool(warning) == bool(fold)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            "test",
            "split test holds no video (train holds 1, validation holds 0); choose another --split, or give a fol",
        ),
        (
            "validation",
            "split validation holds no video (test holds 0, train holds 1); choose another --split, or give",
        ),
    ],
)
def test_an_empty_split_is_refused_naming_the_others(split: Any, message: str) -> None:
    data = DataSet(LABELS, (VideoAnnotation("v_g01_c01", 1, ()),), (), Path("videos"), "own data")
    with pytest.raises(EvaluationError) as caught:
        of_split(data, split)
    assert str(caught.value).startswith(f"own data: its {message}")
    assert str(caught.value).endswith(f"{'testlist' if split == 'test' else 'trainlist'}.txt names enough of them")
