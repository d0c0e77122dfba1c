"""Answers for two frames, with a detector that reads a memory."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from convert import calibration
from convert.calibration import FramePair
from convert.frame_answers import Stream, answer, network_call
from edge.engines import onnxruntime_engine
from tests.support.memory_model import MemoryModel, write_memory_model
from tests.support.spot_model import SIDE
from tests.support.tiny_videos import write_video

WHITE: NDArray[np.uint8] = np.full((SIDE, SIDE, 3), 255, np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> MemoryModel:
    return write_memory_model(tmp_path, preprocessing="graph")


def test_calibration_frames_come_with_what_the_memory_has_seen(model: MemoryModel, tmp_path: Path) -> None:
    """Of 20 white frames, 25 a second, every one is taken: each four have the sum after one picture more."""
    video = write_video(tmp_path / "white.avi", [np.full((48, 64, 3), 255, np.uint8)] * 20)
    engines = [onnxruntime_engine.load(model.detector, 1, preprocessing=way) for way in ("graph", "outside")]
    memory, manifest = engines[0].memory, engines[1].manifest
    pairs = list(calibration.fitted_pairs([video], manifest, 20, memory))
    expected = [sum_ / 4 for sum_ in (1, 1.5, 1.75, 1.875, 1.9375) for _ in range(4)]
    for engine in engines:
        got = [answer(engine, pair)["scores"].item() for pair in pairs]
        np.testing.assert_allclose(got, expected, atol=0.01)  # the video is not all white
    assert Stream(engines[0], pairs[4], batch=2)()[1].outputs["scores"].item() == pytest.approx(0.375, abs=0.01)
    assert network_call(engines[1], pairs[4], 3)()["scores"].shape == (3, 1)
    for pair in pairs:  # of the frame as it was, not of the one in its letterbox
        np.testing.assert_allclose(pair.beside["placement"], [[1, 0, 4 / 3, -1 / 6]], atol=1e-6)
    assert set(calibration.network_input(pairs[0], manifest)) == {"image", "features", "tap", "placement"}


def test_without_a_memory_there_is_nothing_more() -> None:
    assert FramePair(WHITE).beside == {}
