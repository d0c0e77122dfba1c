"""What `models`, `check`, `bench` and `replay` tell of a model that sees clips."""

import json
from pathlib import Path

import pytest

from edge.clip import ClipInput
from edge.commands.bench import WITH_CLIPS, bench
from edge.commands.check import check
from edge.commands.models import models
from edge.commands.replay import ReplayOutputs, open_session, replay
from edge.engines.onnx_parts import detector_part
from edge.inference import EngineError
from edge.tiles import Tiling
from tests.support.clip_model import write_clip_model
from tests.support.spot_model import write_spot_video

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")

SUMMARY = "clips of 4 frames 0.04 s apart, a new map every 0.08 s, up to 0.4 MB for each camera"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_clip_model(tmp_path / "clips.onnx", ClipInput(4, every=2))
    return tmp_path / "clips.onnx"


@pytest.fixture
def config(model: Path, tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[model]\npath = "{model.name}"\nthreads = 1\n[outbox]\ndirectory = "state"\n'
        '[cameras.door]\nsource = "/dev/video0"\n'
    )
    return file


def test_models_and_check_say_what_it_sees(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{SUMMARY} or tile"
    assert lines[-1].startswith("* runs here, in FP32")
    assert check(config) == 0
    assert f"\n  {SUMMARY} or tile\n" in capsys.readouterr().out


@pytest.mark.parametrize(("fps", "warned"), [(2, True), (7.1, True), (8, False)])
def test_check_warns_of_a_camera_too_slow_for_clips(
    fps: float, warned: bool, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text() + f"fps = {fps}\n")
    assert check(config) == 0
    sentence = f"camera door: with fps = {fps:g} each of the model's clips is one frame repeated; set fps to 8 or more"
    assert (sentence in capsys.readouterr().out) is warned


@pytest.mark.parametrize(("size", "warned"), [("4x4", False), ("8x8", True)])
def test_check_warns_of_tiles_whose_clips_take_too_much_memory(
    size: str, warned: bool, model: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """64 tiles of (63 / 0.45 + 3) frames, 64 × 64 × 3 float32: 429 MiB; 16 tiles: 107 MiB."""
    write_clip_model(model, ClipInput(64))
    config.write_text(config.read_text() + f'tiles = "{size}"\n')
    assert check(config) == 0
    sentence = "camera door: its 64 tiles keep up to 429 MiB of frames for the model's clips, each its own; 256 MiB are"
    assert (sentence in capsys.readouterr().out) is warned


def test_bench_counts_the_frames_of_every_tile(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(write_spot_video(tmp_path / "video.avi", shown=4, dark=2))
    session = open_session(source, model, None, None, threads=1).looking_at(Tiling(columns=2, rows=2))
    assert bench(session, 2, as_json=False) == 0
    assert f"\n{SUMMARY.replace('0.4', '1.8')}; " in capsys.readouterr().out
    assert bench(session, 2, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["clip"]["bytes_per_camera"] == 4 * 442432


def test_bench_has_a_row_for_clips_and_their_price(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = open_session(str(write_spot_video(tmp_path / "video.avi", shown=4, dark=2)), model, None, None, threads=1)
    assert bench(session, 5, as_json=False) == 0
    output = capsys.readouterr().out
    for stage in (*WITH_CLIPS, "total"):
        assert f"\n{stage} " in output
    assert "\nmotion " not in output
    assert "% outside network and clips\n" in output
    assert f"\n{SUMMARY}; " in output
    assert bench(session, 5, as_json=True) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["clip"] == {"frames": 4, "step": 1, "every": 2, "bytes_per_camera": 442432}
    assert set(content["milliseconds"]) == {*WITH_CLIPS, "total"}


@pytest.mark.parametrize("shown", [1, 2, 40])
def test_replay_of_videos_shorter_and_longer_than_a_clip(shown: int, model: Path, tmp_path: Path) -> None:
    video = write_spot_video(tmp_path / "video.avi", shown=shown, dark=0)
    with open_session(str(video), model, None, None) as played:
        assert replay(played, ReplayOutputs(events=tmp_path / "events.jsonl")) == 0
    assert (tmp_path / "events.jsonl").read_bytes() == b""  # the spot is a small part of the picture


def test_a_model_without_its_second_network_is_refused(config: Path, model: Path) -> None:
    model.write_bytes(detector_part(model.read_bytes()))
    with pytest.raises(EngineError, match=r"clips\.onnx: nothing in it reads or gives clip; export it again"):
        check(config)
