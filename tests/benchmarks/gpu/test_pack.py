"""What is packed: videos with all of their frames, and weights in half their bytes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import pack
from benchmarks.gpu.candidate import halved
from edge.cameras.video_file import read_file
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import picture, write_video
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.networks import architectures


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_every_frame_is_encoded_and_none_twice(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.avi", [picture(0, frame, seed=1) for frame in range(12)])
    target = tmp_path / "out" / "a.mp4"
    pack.encode(source, target, pack.QUALITY)
    assert [frame.index for frame in read_file(target, "a")] == list(range(12))
    before = target.stat().st_mtime_ns
    pack.encode(tmp_path / "missing.avi", target, pack.QUALITY)
    assert target.stat().st_mtime_ns == before
    assert [path.name for path in target.parent.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_the_largest_video_is_encoded_again(tmp_path: Path) -> None:
    """Of two the noisy one, and nothing once both are within the budget."""
    source, data = tmp_path / "source", tmp_path / "data"
    noise = [np.random.default_rng(frame).integers(0, 256, (64, 96, 3), dtype=np.uint8) for frame in range(6)]
    for name, images in (("still", [picture(0, 0, seed=1)] * 6), ("noisy", noise)):
        (source / "videos").mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / f"{name}.avi", images)
        pack.encode(tmp_path / f"{name}.avi", source / "videos" / f"{name}.mp4", 10)
        pack.encode(source / "videos" / f"{name}.mp4", data / "set" / "videos" / f"{name}.mp4", 20)
    still, noisy = (data / "set" / "videos" / f"{name}.mp4" for name in ("still", "noisy"))
    before = still.stat().st_size, noisy.stat().st_size
    pack.shrink(data, {"set": source}, 45, budget=sum(before))
    assert (still.stat().st_size, noisy.stat().st_size) == before
    pack.shrink(data, {"set": source}, 45, budget=sum(before) - 1)
    assert still.stat().st_size == before[0]
    assert noisy.stat().st_size < before[1]


def test_the_models_stay_here() -> None:
    names = {str(path) for path in pack.tracked(".", *(f":!{pattern}" for pattern in pack.KEPT_OUT))}
    assert not any(name.endswith(".onnx") and name.startswith("models/") for name in names)
    assert {"benchmarks/gpu/run.py", "train/train.py", "demo/basketball.mp4"} <= names


def test_halved_weights_load_and_answer_alike(tmp_path: Path) -> None:
    manifest = Manifest("tiny", ("Run",), 64, 64, MotionSettings("none"), top_k=5)
    network = architectures.network("lite", 1, 3).eval()
    whole = Checkpoint(manifest, network.state_dict(), {})
    checkpoints.save(whole, tmp_path / "whole.pt")
    checkpoints.save(halved(whole), tmp_path / "half.pt")
    assert (tmp_path / "half.pt").stat().st_size < 0.56 * (tmp_path / "whole.pt").stat().st_size
    loaded = checkpoints.load(tmp_path / "half.pt")
    again = checkpoints.detector(replace(loaded, progress={}))
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(again(image).heatmap, network(image).heatmap, atol=0.05, rtol=0.05)
