"""`yowo_lite` with a memory, from training to evaluation: what the commands make of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convert.__main__ import main as convert
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.pipeline import PipelineSettings
from tests.support.tiny_videos import FRAMES, LABELS, write_data_set
from tests.support.untrained_movinet import write_untrained_movinet
from train import checkpoint as checkpoints
from train.evaluate import main as evaluate
from train.open_model import open_model
from train.train import main as train

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`run/best.pt` of two steps, and its export `run/best.onnx`."""
    folder = tmp_path_factory.mktemp("yowo_lite")
    data, memory = write_data_set(folder / "data"), write_untrained_movinet(folder / "movinet.pt")
    size = ("--height", "64", "--width", "96", "--samples", "8", "--batch", "4", "--validate-every", "8")
    places = ("--out", str(folder / "run"), "--cache", str(folder / "cache"), "--workers", "0")
    assert train([str(data), "--arch", "yowo_lite", "--memory", str(memory), *size, *places]) == 0
    assert convert(["export", str(folder / "run" / "best.pt"), "-o", str(folder / "run" / "best.onnx")]) == 0
    return folder


def test_the_checkpoint_takes_a_memory_and_no_clip(folder: Path) -> None:
    read = checkpoints.load(folder / "run" / "best.pt")
    assert (read.manifest.architecture, read.manifest.clip, read.manifest.nms_iou) == ("yowo_lite", None, 0.4)
    assert read.manifest.memory is not None
    assert not any(name.startswith("backbone_3d") for name in read.weights)  # that is the memory's file
    network = checkpoints.detector(read)
    image, memory = torch.randn(1, 3, 64, 96), read.manifest.memory
    maps = torch.rand(2, *memory.features), torch.rand(2, *memory.tap)
    placement = torch.tensor([[1.0, 0, 1, 0]])
    with torch.inference_mode():
        one, other = (network(image, maps[0][i : i + 1], maps[1][i : i + 1], placement) for i in (0, 1))
    for x, y in zip(one.maps, other.maps, strict=True):
        assert not torch.equal(x, y)  # at every scale


def test_the_exported_model_runs_in_the_pipeline(folder: Path) -> None:
    """Without any change to it: frames in, detections out, of any size; doubles are dropped."""
    video = next((folder / "data" / "videos").rglob("*.avi"))
    with open_model(folder / "run" / "best.onnx", 1) as engine:
        assert engine.memory is not None
        files = [*(folder / "run").glob("*.onnx")]
        assert (len(files), sum(file.stat().st_size for file in files) < 12e6) == (2, True)  # with the memory
        state, settings = pipeline.initial("camera", "0"), PipelineSettings(minimum_score=0.0)
        found = [result.detections for _, result, _ in pipeline.run(read_file(video, "v"), engine, settings, state)]
    assert len(found) == FRAMES
    assert all(one.class_scores.shape[1:] == (len(LABELS),) for one in found)
    assert any(len(one.scores) for one in found)
    for one in found:
        own = one.class_scores[np.arange(len(one.labels)), one.labels]
        np.testing.assert_allclose(own, one.scores, atol=1e-5)


def test_it_is_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = str(folder / "run" / "best.onnx"), str(folder / "data")
    assert evaluate([model, "--data", data, "--split", "validation", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("korsal-yowo_lite on UCF101-24 split 1, validation: 2 of 2 videos")


def test_training_goes_on_from_it(folder: Path) -> None:
    """With its memory, which the checkpoint names."""
    words = [str(folder / "data"), "--weights", str(folder / "run" / "best.pt"), "--samples", "4", "--batch", "4"]
    places = ("--out", str(folder / "more"), "--cache", str(folder / "cache"), "--workers", "0")
    assert train([*words, *places]) == 0
    old, new = (checkpoints.load(folder / name / "last.pt").manifest for name in ("run", "more"))
    assert (new.memory, new.architecture, new.height) == (old.memory, old.architecture, old.height)


def test_weights_in_the_onnx_are_not_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(folder / "data"), "--weights", str(folder / "run" / "best.onnx"), "--out", str(folder / "none")]
    assert train([*words, "--cache", str(folder / "cache")]) == 1
    assert "weights of yowo_lite are read from its .pt alone; give that" in capsys.readouterr().err
