"""The frame rate that goes into a model's manifest: a data set's own, or that of its training files."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cameras.video_file import CaptureError
from tests.support.annotation_files import box, written
from tests.support.started_daemon import write_video
from tests.support.tiny_videos import write_data_set
from train.datasets import loader
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.datasets.frame_rate import frame_rate

GT = {"labels": ["jump"], "train_videos": [["jump/a"]], "test_videos": [[]], "nframes": {"jump/a": 9}}


def of_rates(folder: Path, *rates: float) -> DataSet:
    """A training file of each rate, and a test file of another."""
    for number, rate in enumerate((*rates, 7.0)):
        write_video(folder / f"{number}.avi", "#" * 12, rate)
    train = tuple(VideoAnnotation(str(number), 12, ()) for number in range(len(rates)))
    return DataSet(("a",), train, (VideoAnnotation(str(len(rates)), 12, ()),), folder)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [((10,), 10.0), ((10, 25, 30), 25.0), ((10, 10, 10, 60), 10.0), ((30000 / 1001,), 29.97), ((30, 10), 10.0)],
)
def test_the_rate_of_the_training_file_in_the_middle(rates: tuple[float, ...], expected: float, tmp_path: Path) -> None:
    assert frame_rate(of_rates(tmp_path, *rates)) == expected


def test_the_rate_that_it_is_published_with_whatever_its_files_say(tmp_path: Path) -> None:
    assert frame_rate(replace(of_rates(tmp_path, 10), rate=25.0)) == 25
    assert frame_rate(DataSet(("a",), (), (), tmp_path, rate=25.0)) == 25  # no file is opened


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"0\.avi"):
        frame_rate(replace(of_rates(tmp_path, 10), videos=tmp_path / "nowhere"))


def test_ucf101_is_published_with_25(tmp_path: Path) -> None:
    folder = write_data_set(tmp_path, groups=(8,))
    assert (loader.load(folder).rate, loader.load(folder / "pyannot.pkl").rate) == (25, 25)


@pytest.mark.parametrize(("name", "rate"), [("JHMDB", 25), ("UCF101v2", 25), ("Kitchen", None)])
def test_files_in_the_layout_of_act_tell_by_their_name(name: str, rate: float | None, tmp_path: Path) -> None:
    content = {**GT, "resolution": {"jump/a": (240, 320)}, "gttubes": {"jump/a": {}}}
    (tmp_path / f"{name}-GT.pkl").write_bytes(pickle.dumps(content, protocol=2))
    assert loader.load(tmp_path).rate == rate


def test_ones_own_videos_have_the_rate_of_their_files(tmp_path: Path) -> None:
    for name in ("annotations", "videos/door"):
        (tmp_path / name).mkdir(parents=True)
    written(tmp_path / "annotations", ("waves", [box(4), box(5)]))
    (tmp_path / "trainlist.txt").write_text("door/one\n")
    (tmp_path / "testlist.txt").write_text("")
    write_video(tmp_path / "videos" / "door" / "one.avi", "#" * 12, 15.0)
    data = loader.load(tmp_path)
    assert (data.rate, frame_rate(data)) == (None, 15)
