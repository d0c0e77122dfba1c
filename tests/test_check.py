"""Two engines side by side on real frames: differences, events, time; what cannot be compared is refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_videos import picture, write_video

from convert.check import BATCHES, CheckError, Material, as_text, check
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion import MotionSettings

MANIFEST = Manifest("tiny", ("Run", "Jump"), 64, 96, MotionSettings("none"), top_k=1)
IMAGES = tuple(np.zeros((1, 3, 64, 96), np.float32) for _ in range(3))


def sees(score: float, label: int = 0) -> Engine:
    """One person, always at the same place."""

    def infer(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        batch = len(inputs["image"])
        class_scores = np.zeros((batch, 1, 2), np.float32)
        class_scores[..., label] = score
        return {
            "boxes": np.tile(np.array([[[20, 10, 40, 50]]], np.float32), (batch, 1, 1)),
            "scores": np.full((batch, 1), score, np.float32),
            "labels": np.full((batch, 1), label, np.int64),
            "class_scores": class_scores,
        }

    return Engine(infer, MANIFEST, "0" * 64, "a plain function")


@pytest.fixture
def material(tmp_path: Path) -> Material:
    video = write_video(tmp_path / "a.avi", [picture(0, frame, 1) for frame in range(50)])
    return Material(IMAGES, (video,))


def named(engine: Engine, name: str = "m.onnx") -> tuple[Path, Engine]:
    return Path(name), engine


def test_the_same_model_differs_by_nothing(material: Material) -> None:
    found = check(named(sees(0.9)), named(sees(0.9)), material)
    assert found.agreement.lost == found.agreement.invented == 0
    assert found.events == (1, 0, 0)
    assert np.isnan(found.lost)
    text = as_text(found, ("exact", "same"))
    assert "1 events begin: 0 missed, 0 invented" in text
    assert "accuracy: not measured; give --data DIR" in text


def test_a_model_that_sees_another_action_is_found_out(material: Material) -> None:
    found = check(named(sees(0.9)), named(sees(0.9, label=1)), material)
    assert found.agreement.lost == found.agreement.invented == 3
    assert found.events == (1, 1, 1)


def test_every_batch_is_timed_for_both(material: Material) -> None:
    found = check(named(sees(0.9)), named(sees(0.8)), material)
    assert [pair[0].batch for pair in found.latency] == [pair[1].batch for pair in found.latency] == list(BATCHES)
    for pair in found.latency:
        for one in pair:
            assert 0 < one.p50 <= one.p95 <= one.p99
            assert one.throughput == pytest.approx(1000 * one.batch / one.p50)


Change = Callable[[Manifest], Manifest]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: replace(m, labels=("Run", "Sit")), "its labels is ('Run', 'Sit')"),
        (lambda m: replace(m, width=128), "its width is 128"),
        (lambda m: replace(m, motion=MotionSettings("ssim")), "its motion is"),
    ],
)
def test_models_of_different_things_are_refused(change: Change, said: str, material: Material) -> None:
    other = replace(sees(0.9), manifest=change(MANIFEST))
    with pytest.raises(CheckError) as told:
        check(named(sees(0.9)), named(other, "other.onnx"), material)
    assert str(told.value).startswith(f"other.onnx: {said}")
    assert "compare a model with the one it was made from" in str(told.value)
