"""The comparison of frame rates: which frames are taken, what is compared, and that a stopped run goes on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import frame_rate
from benchmarks.frame_rate import compared, kept
from benchmarks.frame_rate_report import ByRate, CountingFrames, Thinned, frame_map, in_frames, in_groups
from edge import linker
from edge.default_linker import DefaultLinker
from edge.motion_gap import MotionGap
from tests.support.annotated_player import FRAMES, LABELS, PLAYS, tube, write_model, write_video
from tests.support.made_detections import seen, true
from tests.support.people import detected, person
from train.datasets.annotation_records import DataSet, VideoAnnotation

GAP = MotionGap(0.08, 25.0)


@pytest.mark.parametrize(
    ("own", "rate", "expected"),
    [
        (25, 30, list(range(10))),
        (25, 12.5, [0, 2, 4, 6, 8]),
        (25, 10, [0, 3, 5, 8]),  # 2.5 apart, halves rounded up
        (30, 25, [0, 1, 2, 4, 5, 6, 7, 8]),
        (25, 2.5, [0]),
    ],
)
def test_the_frames_nearest_to_an_even_pace_are_taken(own: float, rate: float, expected: list[int]) -> None:
    assert kept(10, own, rate).tolist() == expected


def test_what_the_motion_map_compares_with() -> None:
    assert compared([0.0, 0.2, 0.4], GAP) == (None, 0, 1)
    assert compared([0.0, 0.04, 0.08, 0.12], GAP) == (None, 0, 0, 1)


def test_a_linker_that_counts_frames_takes_no_notice_of_time() -> None:
    frames = [detected(person(100 + 5 * index, run=0.8)) for index in range(12)]
    slow, quick = linker.initial(), linker.initial()
    for index, found in enumerate(frames):
        slow, ours = CountingFrames(DefaultLinker()).step(slow, found, index / 5)
        quick, theirs = DefaultLinker().step(quick, found, index / 25)
        assert [(one.tube, one.score, one.box.tolist()) for one in ours] == [
            (one.tube, one.score, one.box.tolist()) for one in theirs
        ]


def test_an_annotation_in_some_frames_is_renumbered() -> None:
    video = VideoAnnotation("a", 100, (true(10, 20), true(51, 52)), None, np.arange(0, 100, 10))
    thin = in_frames(video, np.arange(0, 100, 5))
    assert thin.frames == 20
    assert [(one.first_frame, len(one.boxes)) for one in thin.tubes] == [(2, 2)]
    assert thin.annotated_frames is not None
    assert thin.annotated_frames.tolist() == list(range(0, 20, 2))


def test_frame_map_counts_the_frames_that_all_rates_have() -> None:
    """The person is found in the first half of 100 frames only, of which every fifth counts."""
    found = seen([(0, 50, (20.0, 30.0, 60.0, 110.0), 0, 0.9)])
    thinned = Thinned(VideoAnnotation("a", 100, (true(0, 100),)), np.arange(100), 25.0, found)
    assert frame_map([thinned], [np.arange(0, 100, 5)], ("Run", "Jump")) == pytest.approx(0.5)
    assert frame_map([thinned], [np.arange(0, 50, 5)], ("Run", "Jump")) == pytest.approx(1.0)


def test_videos_of_other_rates_are_listed_by_themselves() -> None:
    videos = [VideoAnnotation(str(rate), 10, ()) for rate in (25, 29.97, 12)]
    thinned: list[ByRate] = [
        {(5.0, "seconds"): Thinned(one, np.arange(10), float(one.name), seen([]))} for one in videos
    ]
    groups = {name: [next(iter(one.values())).own for one in chosen] for name, chosen in in_groups(videos, thinned)}
    assert groups == {
        "all 3 videos": [25, 29.97, 12],
        "1 videos of about 25 frames a second": [25],
        "1 videos of about 30 frames a second": [29.97],
    }


def test_a_run_goes_on_from_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"Surfing/v_Surfing_g01_c0{number}" for number in (1, 2))
    videos = tuple(VideoAnnotation(name, FRAMES, (tube(1, PLAYS),)) for name in names)
    for name in names:
        write_video(tmp_path / "videos" / f"{name}.mp4")
    data = DataSet(LABELS, (), videos, tmp_path / "videos")
    monkeypatch.setattr("train.datasets.loader.load", lambda path: data)
    model, folder = write_model(tmp_path / "tiny.onnx"), tmp_path / "kept"
    words = ["--rates", "25", "5", "--model", str(model), "--keep", str(folder)]
    monkeypatch.setattr(sys, "argv", ["frame_rate", "data", *words, "--plot", str(tmp_path / "curves.png")])
    frame_rate.main()
    first = capsys.readouterr().out
    assert "2 of 2 videos" in first
    assert "   25 fps, counting seconds, default: frame-mAP " in first
    assert (tmp_path / "curves.png").stat().st_size > 1000
    files = sorted(folder.rglob("*.npz"))
    assert len(files) == 2 * 2  # this model compares with the last frame, whichever way is counted
    files[0].unlink()
    ran: list[int] = []
    run = frame_rate._run
    monkeypatch.setattr(frame_rate, "_run", lambda frames, engine: ran.append(len(frames)) or run(frames, engine))
    frame_rate.main()
    assert len(ran) == 1
    assert capsys.readouterr().out == first
