"""Torch in the place of TensorRT gives the daemon's pipeline what ONNX Runtime's place would: here on a CPU."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.gpu.torch_engine import TorchRunner, engine, untrained
from benchmarks.gpu.torch_frames import TorchFrames
from edge import inference
from edge.inference import Engine, NetworkFrame, NetworkResult
from edge.manifest import INPUT, OUTPUTS, Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import picture
from train.gpu.motion import MotionMaps

CPU = torch.device("cpu")
MANIFEST = Manifest("tiny", ("Run", "Walk"), 64, 96, MotionSettings(gap=2), top_k=5)


@pytest.fixture(scope="module")
def runner() -> TorchRunner:
    torch.set_num_threads(1)
    return TorchRunner(untrained(MANIFEST, torch.float32, CPU), MANIFEST, 2, CPU)


def steps(opened: Engine, cameras: Sequence[Sequence[NDArray[np.uint8]]]) -> list[list[NetworkResult]]:
    """One frame of each camera at a time."""
    states = [None] * len(cameras)
    found = []
    for index, images in enumerate(zip(*cameras, strict=True)):
        frames = [
            NetworkFrame(image, index / 25, MANIFEST.motion, MANIFEST.gap, state)
            for image, state in zip(images, states, strict=True)
        ]
        found.append(inference.run_network(opened, frames, lambda stage: None))
        states = [result.motion_state for result in found[-1]]
    return found


def test_a_batch_is_its_frames(runner: TorchRunner) -> None:
    image = np.random.default_rng(0).normal(size=(2, 6, 64, 96)).astype(np.float32)
    both = runner.infer({INPUT: image})
    alone = [runner.infer({INPUT: image[i : i + 1]}) for i in range(2)]
    for name in OUTPUTS:
        np.testing.assert_allclose(both[name], np.concatenate([one[name] for one in alone]), atol=1e-4)


def test_frames_prepared_by_torch_are_those_of_the_cpu(runner: TorchRunner) -> None:
    cameras = [[picture(0, frame, seed=seed) for frame in range(6)] for seed in (1, 2)]
    opened = engine(runner, MANIFEST).engine
    on_cpu = steps(opened, cameras)
    by_torch = steps(replace(opened, run_frames=TorchFrames(runner, MANIFEST, MotionMaps(MANIFEST, CPU))), cameras)
    for ours, theirs in zip(on_cpu, by_torch, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(other.outputs["class_scores"], one.outputs["class_scores"], atol=1e-3)


def test_it_is_a_runner_that_is_filled_in_place(runner: TorchRunner) -> None:
    assert runner.image_address == runner.static.data_ptr()
    assert runner.image.shape == tuple(runner.static.shape)
    assert runner.stream == 0
