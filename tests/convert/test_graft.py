"""Preprocessing and motion map inside a model, against those outside of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convert import onnx_file
from convert.graft import GraftError, with_preprocessing
from convert.graph_motion import TIE
from edge import detector, motion_map
from edge.cameras.video_file import read_file
from edge.engines.onnx_network import without_preprocessing
from edge.manifest import FITTED, FRAME, INPUT, MOTION, OUTPUTS, PREVIOUS, SHIFT, Manifest, to_json
from edge.motion_map import MotionKind, MotionSettings
from tests.support.graft import noise, run_of, without_network
from tests.support.paths import ROOT
from tests.support.tiny_model import MANIFEST as TINY
from tests.support.tiny_model import write_tiny_model

Image = NDArray[np.uint8]
metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed: pip install 'korsal-edge[dev]'")
CLIP = ROOT / "demo" / "basketball.mp4"
SSIM = Manifest("ssim", ("Run",), 96, 128)
TOLERANCE = 1e-3


def of(kind: MotionKind, shifts: bool = True) -> Manifest:
    return replace(SSIM, motion=MotionSettings(kind, shifts))


def compare(frames: Sequence[Image], manifest: Manifest = SSIM) -> list[int]:
    """Both ways on frames one after another; the shifts that were chosen."""
    before, fitted, chosen = np.zeros((manifest.height, manifest.width, 3), np.float32), None, []
    for image in frames:
        current = detector.normalise(image, manifest)
        expected, shift = motion_map.motion_map(before, current, manifest.motion)
        got = run_of(manifest)(image[None], fitted)
        found = int(got[SHIFT][0])
        if found != shift:
            expected = of_equal_score(before, current, shift, found)
        np.testing.assert_allclose(got[MOTION][0].transpose(1, 2, 0), expected, rtol=0, atol=TOLERANCE)
        np.testing.assert_array_equal(got["seen"], np.concatenate([got[FITTED], got[MOTION]], axis=1))
        before, fitted = current, got[FITTED]
        chosen.append(found)
    return chosen


def of_equal_score(before: NDArray[np.float32], current: NDArray[np.float32], first: int, second: int) -> NDArray[Any]:
    """The exact map of the second shift, whose score must be that of the first but for float32's rounding."""
    maps = [exact(before.astype(np.float64), current.astype(np.float64), shift) for shift in (first, second)]
    scores = [float(one[3:-3, 3:-3].mean()) for one in maps]
    assert scores[1] == pytest.approx(scores[0], rel=2 * TIE, abs=1e-8), f"shift {second} instead of {first}"
    return maps[1]


def exact(before: NDArray[np.float64], current: NDArray[np.float64], shift: int) -> NDArray[Any]:
    dy, dx = motion_map.SHIFTS[shift]
    height, width = current.shape[:2]
    mirrored = cv2.copyMakeBorder(current, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    moved = mirrored[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    largest = max(np.abs(before).max(), np.abs(moved).max())
    span = max(float(np.ptp(moved)), motion_map.LEAST_RANGE * float(largest)) or 1.0
    return np.asarray(metrics.structural_similarity(before, moved, channel_axis=-1, data_range=span, full=True)[1])


def clip() -> Iterator[Image]:
    return (frame.image for frame in read_file(CLIP, "demo"))


@pytest.mark.parametrize("kind", ["ssim", "dsim", "previous"])
@pytest.mark.parametrize("shifts", [True, False], ids=["shifts", "still"])
def test_the_map_of_a_real_video(kind: MotionKind, shifts: bool) -> None:
    chosen = compare([*islice(clip(), 12)], of(kind, shifts))
    assert len(set(chosen)) > 1 or kind == "previous" or not shifts


def test_the_map_of_a_real_video_at_the_size_we_ship() -> None:
    compare([*islice(clip(), 30)], replace(SSIM, height=224, width=288))


def test_a_camera_that_drifts_and_is_noisy() -> None:
    scene, random = noise((110, 140, 3)), np.random.default_rng(1)
    moves = [(5, 5), (6, 5), (6, 6), (5, 6), (4, 5), (4, 4), (5, 4), (4, 5), (4, 5), (5, 4), (4, 5)]
    views = [scene[y : y + 96, x : x + 128].astype(np.int16) for y, x in moves]
    frames = [np.clip(view + random.normal(0, 6, view.shape), 0, 255).astype(np.uint8) for view in views]
    assert len(set(compare(frames))) >= 6


def scenes() -> dict[str, list[Image]]:
    shape, step = (96, 128, 3), np.zeros((96, 128, 3), np.uint8)
    step[:, 64:] = 1
    textured = noise(shape)
    return {
        "black": [np.zeros(shape, np.uint8)] * 3,
        "constants": [np.full(shape, level, np.uint8) for level in (104, 104, 105, 255, 0)],
        "one grey level": [step, np.roll(step, 1, axis=1), step],
        "night": [noise(shape, seed, 3, 8) for seed in range(3)],
        "fog": [noise(shape, seed, 200, 205) for seed in range(3)],
        "the light goes out": [textured, noise(shape, 1, 3, 6), textured, np.full(shape, 7, np.uint8)],
        "the light goes out over a white wall": [np.full(shape, 255, np.uint8) - step, step + 2, textured],
        "a single bright pixel at the border": [textured // 8, np.pad(textured[1:] // 8, [(1, 0), (0, 0), (0, 0)])],
        "cuts": [noise(shape, seed) for seed in range(4)],
    }


@pytest.mark.parametrize("scene", scenes())
def test_scenes(scene: str) -> None:
    compare(scenes()[scene])


@pytest.mark.parametrize("std", [1.0, 0.1, 1e-3])
def test_other_means_and_deviations(std: float) -> None:
    manifest = replace(SSIM, mean=(0.0, 0.5, 0.3), std=(1.0, std, 2.0))
    compare([np.zeros((96, 128, 3), np.uint8), *islice(clip(), 4)], manifest)


@given(seed=st.integers(0, 999), low=st.integers(0, 250), spread=st.integers(1, 256), lit=st.integers(1, 256))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_contrast_beside_any_other(seed: int, low: int, spread: int, lit: int) -> None:
    shape = (96, 128, 3)
    compare([noise(shape, seed, 0, lit), noise(shape, seed + 1, low, min(low + spread, 256)), noise(shape, seed)])


def test_each_frame_of_a_batch_is_compared_with_its_own() -> None:
    frames = np.stack([*islice(clip(), 3), np.zeros_like(next(clip()))])
    run = run_of(SSIM)
    first = run(frames)
    second = run(np.roll(frames, 1, axis=0), first[FITTED])
    for row in range(4):
        alone = run(np.roll(frames, 1, axis=0)[row][None], first[FITTED][row : row + 1])
        assert second[SHIFT][row] == alone[SHIFT][0]
        np.testing.assert_allclose(second[MOTION][row], alone[MOTION][0], atol=1e-6)


def test_a_newer_opset_computes_the_same() -> None:
    image = next(clip())[None]
    for name, value in run_of(SSIM)(image).items():
        np.testing.assert_allclose(run_of(SSIM, 19)(image)[name], value, atol=1e-6)


def test_a_model_without_a_map_needs_no_previous_frame() -> None:
    got = run_of(of("none"))(noise((48, 64, 3))[None])
    assert set(got) == {"seen", FITTED}
    np.testing.assert_array_equal(got["seen"], got[FITTED])


def test_flow_cannot_be_in_a_graph() -> None:
    with pytest.raises(GraftError, match="optical flow, which ONNX has no operator for; leave --with-motion away"):
        with_preprocessing(without_network(of("flow")), of("flow"))


def test_a_model_is_not_grafted_twice() -> None:
    twice = replace(SSIM, preprocessing="graph")
    with pytest.raises(GraftError, match="prepares frames itself already"):
        with_preprocessing(without_network(SSIM), twice)


def test_only_the_networks_own_batch_is_taken(tmp_path: Path) -> None:
    model, manifest = onnx_file.read(write_tiny_model(tmp_path / "tiny.onnx"))
    graph = with_preprocessing(model, manifest).graph
    assert [value.name for value in graph.input] == [FRAME]
    assert [value.name for value in graph.output] == [*OUTPUTS, FITTED]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def test_the_network_comes_out_again_as_it_went_in(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx")
    model, manifest = onnx_file.read(path)
    both = replace(manifest, preprocessing="graph")
    onnx_file.write(with_preprocessing(model, manifest), both, path)
    content, outside = without_preprocessing(path.read_bytes(), both)
    again = onnx.load_model_from_string(content)
    assert to_json(outside) == to_json(TINY)
    assert [node.SerializeToString() for node in again.graph.node] == [
        node.SerializeToString() for node in model.graph.node
    ]
    assert [value.name for value in again.graph.input] == [INPUT]
    assert PREVIOUS not in content.decode(errors="replace")
