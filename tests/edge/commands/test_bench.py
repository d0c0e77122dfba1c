import json
import re
from pathlib import Path

import numpy as np
import pytest

from edge.commands.bench import COLUMNS, WARM_UP, Measurement, bench, measure
from edge.commands.replay import ReplaySession, open_session
from edge.tiles import Tiling
from tests.support.spot_model import write_spot_model, write_spot_video


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> ReplaySession:
    folder = tmp_path_factory.mktemp("bench")
    video = write_spot_video(folder / "video.avi", shown=4, dark=2)
    return open_session(str(video), write_spot_model(folder / "spot.onnx"), None, None, threads=1)


def test_figures() -> None:
    """Four frames of 1 ms per stage, but for the network's 4, 4, 4 and 8: 9, 9, 9, 13 in all, 10 on average."""
    seconds = np.full((4, len(COLUMNS)), 0.001)
    seconds[:, COLUMNS.index("network")] = (0.004, 0.004, 0.004, 0.008)
    measured = Measurement(seconds)
    assert measured.fps == pytest.approx(100)
    assert measured.cameras == 6  # of 15 frames a second
    assert measured.overhead == pytest.approx(0.4)  # 4 of 10 ms: decode, preprocess, link, events
    rows = measured.rows()
    assert list(rows) == [*COLUMNS, "total"]
    assert rows["network"]["mean"] == pytest.approx(5)
    assert rows["network"]["p50"] == pytest.approx(4)
    assert rows["network"]["p99"] == pytest.approx(8, abs=0.2)
    assert rows["network"]["share"] == pytest.approx(50)
    assert rows["total"]["share"] == pytest.approx(100)


def test_a_short_video_is_played_again(played: ReplaySession) -> None:
    measured = measure(played, 30)  # of a video of 8 frames
    assert measured.seconds.shape == (30, len(COLUMNS))
    assert (measured.seconds >= 0).all()


def test_the_table_names_every_stage(played: ReplaySession, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(played, 5, as_json=False) == 0
    output = capsys.readouterr().out
    assert "video.avi, 160x120; spot, 64x64, motion ssim on the CPU; onnxruntime" in output
    for stage in (*COLUMNS, "total"):
        assert f"\n{stage} " in output
    assert "frames per second" in output
    assert re.search(r"\n(enough for \d+ cameras?|too slow for one camera) at 15 frames a second", output)
    assert f"{WARM_UP} more to warm up" in output


def test_tiles_are_named(played: ReplaySession, capsys: pytest.CaptureFixture[str]) -> None:
    halves = played.looking_at(Tiling(columns=2))
    assert bench(halves, 5, as_json=False) == 0
    assert "spot, 64x64, 2x1 tiles, motion ssim on the CPU" in capsys.readouterr().out
    assert bench(halves, 5, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["tiles"] == 2


def test_a_machine_that_is_too_slow_is_logged_with_the_remedies(
    played: ReplaySession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Measurement(np.full((4, len(COLUMNS)), 0.1 / len(COLUMNS)))
    monkeypatch.setattr("edge.commands.bench.measure", lambda session, frames: slow)
    assert bench(played, 4, as_json=False) == 0
    assert "\ntoo slow for one camera at 15 frames a second: run an INT8 model" in capsys.readouterr().out


def test_json_holds_the_same(played: ReplaySession, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(played, 5, as_json=True) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["frames"] == 5
    assert content["fps"] > 0
    assert 0 < content["overhead"] < 1
    assert set(content["milliseconds"]) == {*COLUMNS, "total"}
    assert content["model"]["sha256"] == played.engine.sha256


def test_a_one_frame_video_is_enough(tmp_path: Path) -> None:
    video = write_spot_video(tmp_path / "one.avi", shown=1, dark=0)
    assert len(measure(open_session(str(video), write_spot_model(tmp_path / "m.onnx"), None, None), 3).seconds) == 3
