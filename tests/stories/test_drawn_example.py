"""The example in examples/drawn: its script goes the whole way, and its videos show what their annotations say."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.video_file import read_file
from edge.history import search
from edge.history.search import EventFilter
from examples.drawn import example, videos
from tests.support.made_project import START
from tests.support.untrained_model import write_untrained_onnx
from train.datasets import loader

KEPT = ("garage_1", "hall_1", "street_1", "yard_1", "beach_1", "quiet_2")
FEW = ("--samples", "32", "--threads", "1")
TO_RUN = ("--workers", "0", "--precision", "float32", "--device", "cpu", "--no-int8", "-q")


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example with a part of its project: a video of each scene but one, and the quiet one to choose on."""
    for kind in ("videos", "annotations"):
        for path in example.PROJECT.glob(f"{kind}/*/*"):
            if path.stem in KEPT:
                target = tmp_path / "few" / path.relative_to(example.PROJECT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    shutil.copy(example.PROJECT / "actions.toml", tmp_path / "few")
    monkeypatch.setattr(example, "PROJECT", tmp_path / "few")
    monkeypatch.setattr(example, "TESTED", KEPT[:1])


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_script_teaches_and_runs_the_daemon(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With small numbers: a network of a small input that begins with nothing. Its daemon ends with the videos."""
    start = write_untrained_onnx(tmp_path / "start.onnx", START)
    assert example.main([str(tmp_path), *FEW, "--start", str(start), "--", *TO_RUN]) == 0
    out = capfd.readouterr().out
    assert "nothing is wrong\n" in out
    assert "drawn-figures on drawn-figures, test: 1 of 1 videos" in out
    report = tmp_path / "my-actions" / "runs" / "001" / "report.html"
    assert out.endswith(f"{report}: open it in a browser\n")
    assert report.exists()
    found = search.find(tmp_path / "state" / "example.history.sqlite", EventFilter())
    assert {one.camera for one in found} <= set(example.TESTED)
    assert all(one.payload["reason_ended"] == "shutdown" or one.payload["ended"] for one in found)


@pytest.mark.usefixtures("few")
def test_a_step_that_fails_ends_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert example.main([str(tmp_path), "--start", "none.onnx"]) == 1
    assert "actions.toml: start: " in capfd.readouterr().err


def test_boxes_lie_around_the_figures() -> None:
    """Of each video one frame: what differs from the empty place lies inside the boxes, and fills most of them."""
    data = loader.load(example.PROJECT)
    assert sum(len(video.tubes) for video in (*data.train, *data.test)) == 20
    for drawn in videos.videos():
        empty = videos.background(drawn.place)
        image, boxes = list(videos.pictures(drawn))[40]
        changed = np.abs(image.astype(int) - empty).max(axis=2) > 8
        ys, xs = np.nonzero(changed)
        seen = [box for box in boxes if box is not None]
        inside = [(xs >= x1 - 1) & (xs <= x2 + 1) & (ys >= y1 - 1) & (ys <= y2 + 1) for x1, y1, x2, y2 in seen]
        assert np.any(inside, axis=0).mean() > 0.97  # a figure that is half out of sight has no box
        for x1, y1, x2, y2 in (np.round(box).astype(int) for box in seen):
            assert changed[y1:y2, x1:x2].any(axis=0).mean() > 0.6


def test_the_files_are_what_is_drawn() -> None:
    drawn = next(videos.videos())
    path = example.PROJECT / "videos" / f"{drawn.name}.mp4"
    frames = list(read_file(path, drawn.name))
    assert len(frames) == videos.FRAMES
    assert path.stat().st_size < 100_000
    for frame, (image, _) in zip(frames[::30], list(videos.pictures(drawn))[::30], strict=True):
        assert cv2.absdiff(frame.image, image).mean() < 6
