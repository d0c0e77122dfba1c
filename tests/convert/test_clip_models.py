"""A network that sees clips, from training to evaluation: what the commands make of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convert.__main__ import main as convert
from convert.watched_video import beside_of, watched
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.clip import CLIP, CLIP_MAP, ClipInput
from edge.pipeline import PipelineSettings
from tests.support.tiny_videos import FRAMES, write_data_set
from train import checkpoint as checkpoints
from train.evaluate import main as evaluate
from train.open_model import open_model
from train.train import main as train

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`run/best.pt` of two steps, its export `run/best.onnx`, and the videos of `data`."""
    folder = tmp_path_factory.mktemp("clips")
    data = write_data_set(folder / "data")
    size = ("--height", "64", "--width", "64", "--samples", "8", "--batch", "4", "--validate-every", "8")
    clips = ("--frames", "3", "--clip-every", "2")
    places = ("--out", str(folder / "run"), "--cache", str(folder / "cache"), "--workers", "0")
    assert train([str(data), "--arch", "yowo_lite", *size, *clips, *places]) == 0
    given = ["--calibrate", str(folder / "data" / "videos"), "--frames", "16"]
    assert convert(["export", str(folder / "run" / "best.pt"), "-o", str(folder / "run" / "best.onnx"), *given]) == 0
    return folder


def test_one_file_holds_both_networks(folder: Path) -> None:
    with open_model(folder / "run" / "best.onnx", 1) as engine:
        assert engine.manifest.clip == ClipInput(3, 1, 2, channels=480)
        assert engine.clip is not None
    assert checkpoints.load(folder / "run" / "best.pt").manifest.clip == ClipInput(3, 1, 2)
    assert not [*(folder / "run").glob("memory-*")]
    assert (folder / "run" / "best.onnx").stat().st_size < 12e6


def test_the_pipeline_finds_the_same_by_torch_and_onnx_runtime(folder: Path) -> None:
    video = next((folder / "data" / "videos").rglob("*.avi"))
    found = []
    for name in ("best.pt", "best.onnx"):
        with open_model(folder / "run" / name, 1) as engine:
            start = pipeline.initial("camera", "0")
            steps = pipeline.run(read_file(video, "v"), engine, PipelineSettings(minimum_score=0.0), start)
            found.append([result.detections for _, result, _ in steps])
    assert [len(one) for one in found] == [FRAMES, FRAMES]
    for one, other in zip(*found, strict=True):
        assert len(one.scores)
        np.testing.assert_allclose(one.scores[:5], other.scores[:5], atol=1e-5)


def test_it_is_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = str(folder / "run" / "best.onnx"), str(folder / "data")
    assert evaluate([model, "--data", data, "--split", "validation", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("korsal-yowo_lite on UCF101-24 split 1, validation: 2 of 2 videos")


def test_what_is_calibrated_on_is_what_the_pipeline_shows(folder: Path) -> None:
    video = next((folder / "data" / "videos").rglob("*.avi"))
    with open_model(folder / "run" / "best.onnx", 1) as engine:
        seen = [inputs() for _, inputs in watched(read_file(video, "v"), engine.manifest, beside_of(engine))]
        steps = pipeline.run(read_file(video, "v"), engine, PipelineSettings(), pipeline.initial("camera", "0"))
        maps = [state.motion_states[0] for _, _, state in steps]
    assert {tuple(one) for one in seen} == {(CLIP, CLIP_MAP)}
    for at in range(0, FRAMES, 2):  # where the pipeline makes a map; between them it uses that one again
        np.testing.assert_array_equal(seen[at][CLIP][0, :, -1], maps[at].frames[-1])
        np.testing.assert_allclose(seen[at][CLIP_MAP], maps[at].newest, atol=1e-6)


def test_preprocessing_does_not_go_inside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["export", str(folder / "run" / "best.pt"), "-o", str(folder / "run" / "whole.onnx"), "--with-motion"]
    assert convert(given) == 1
    assert "sees clips, whose frames the device prepares and keeps; leave --with-motion away" in capsys.readouterr().err
