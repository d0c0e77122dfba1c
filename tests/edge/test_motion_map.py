"""The motion map against scikit-image's structural similarity, which KORSAL calls nine times per frame."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.motion_map import IDENTITY, SHIFTS, MotionSettings, blank, compare, motion_map, prepare
from tests.support.paths import ROOT

Image = NDArray[Any]

SSIM = MotionSettings()
TOLERANCE = 5e-4
CLIP = ROOT / "demo" / "basketball.mp4"
MEAN = np.array([0.40789654, 0.44719302, 0.47026115], np.float32)
STD = np.array([0.28863828, 0.27408164, 0.27809835], np.float32)


def similarity_of(previous: Image, shifted: Image) -> tuple[float, Image]:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    data_range = shifted.max() - shifted.min()
    score, full = metrics.structural_similarity(previous, shifted, channel_axis=-1, data_range=data_range, full=True)
    return score, full


def reference(previous: Image, current: Image) -> tuple[Image, int]:
    """The rule as KORSAL's code has it: nine times cv2.filter2D and scikit-image, the first highest score wins."""
    best, chosen, highest = current, -1, -np.inf
    for index, (dy, dx) in enumerate(SHIFTS):
        kernel = np.zeros((3, 3), np.float32)
        kernel[1 + dy, 1 + dx] = 1
        score, full = similarity_of(previous, cv2.filter2D(current, -1, kernel))
        if score > highest:
            best, chosen, highest = full, index, score
    return best, chosen


def texture(height: int, width: int, seed: int = 0, blur: float = 1.5) -> Image:
    """A normalised frame of blurred noise that spans black to white."""
    image = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width, 3)), (0, 0), blur)
    stretched = (image - image.min()) / (image.max() - image.min())
    normalised: Image = ((stretched - MEAN) / STD).astype(np.float32)
    return normalised


def clip_frames(count: int, width: int, height: int) -> list[Image]:
    if not CLIP.exists():
        pytest.skip(f"{CLIP} is not there")
    capture = cv2.VideoCapture(str(CLIP))
    images = [capture.read()[1] for _ in range(count)]
    capture.release()
    small = [cv2.resize(image, (width, height)).astype(np.float32) for image in images]
    return [(image / np.float32(255) - MEAN) / STD for image in small]


def test_order_of_shifts_is_korsals() -> None:
    kernels = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (1, 1)]
    assert [(dy + 1, dx + 1) for dy, dx in SHIFTS] == kernels


@pytest.mark.parametrize(("width", "height"), [(256, 256), (256, 192), (61, 47)])
def test_parity_on_real_frames(width: int, height: int) -> None:
    for previous, current in pairwise(clip_frames(6, width, height)):
        expected, shift = reference(previous, current)
        found, chosen = motion_map(previous, current, SSIM)
        assert chosen == shift
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("width", "height"),
    [(7, 7), (7, 8), (8, 7), (9, 7), (16, 9), (9, 16), (13, 11), (12, 12), (33, 31), (64, 70), (65, 71), (20, 135)],
)
def test_parity_at_odd_and_tiny_sizes(width: int, height: int) -> None:
    previous, current = texture(height, width, 1), texture(height, width, 2)
    expected, shift = reference(previous, current)
    found, chosen = motion_map(previous, current, SSIM)
    assert chosen == shift
    assert found.shape == (height, width, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("shift", range(9))
def test_finds_the_shift_of_the_camera(shift: int) -> None:
    wide, (dy, dx) = texture(50, 60), SHIFTS[shift]
    current = wide[1:-1, 1:-1]
    previous = wide[1 + dy : 49 + dy, 1 + dx : 59 + dx]
    found, chosen = motion_map(previous, current, SSIM)
    assert chosen == shift
    np.testing.assert_allclose(found[4:-4, 4:-4], 1, atol=1e-5)
    np.testing.assert_allclose(found, reference(previous, current)[0], atol=TOLERANCE)


@pytest.mark.parametrize("corner", [(0, 0), (0, 5), (0, -1), (9, -1), (-1, -1), (-1, 7), (-1, 0), (8, 0), (6, 6)])
def test_data_range_is_that_of_the_shifted_frame(corner: tuple[int, int]) -> None:
    """A highest pixel in the rim is moved out of sight by some shifts, whose constants are then smaller."""
    previous, current = texture(20, 24, 3), texture(20, 24, 4)
    current[corner] = 6
    expected, shift = reference(previous, current)
    found, chosen = motion_map(previous, current, SSIM)
    assert chosen == shift
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_without_shifts_compares_the_frames_as_they_lie() -> None:
    wide = texture(40, 41)
    previous, current = wide[:, 1:], wide[:, :-1]
    found, chosen = motion_map(previous, current, MotionSettings(shifts=False))
    assert chosen == IDENTITY
    np.testing.assert_allclose(found, similarity_of(previous, current)[1], atol=TOLERANCE)


def test_dsim_is_half_the_dissimilarity() -> None:
    previous, current = texture(32, 40, 1), texture(32, 40, 2)
    similarity, shift = motion_map(previous, current, SSIM)
    dissimilarity, chosen = motion_map(previous, current, MotionSettings(kind="dsim"))
    assert chosen == shift
    np.testing.assert_allclose(dissimilarity, 0.5 * (1 - similarity), atol=1e-6)


def test_previous_is_the_previous_frame_itself() -> None:
    previous, current = texture(32, 40, 1), texture(32, 40, 2)
    found, chosen = motion_map(previous, current, MotionSettings(kind="previous"))
    np.testing.assert_array_equal(found, previous)
    assert chosen == IDENTITY


def test_first_frame_is_compared_with_zeros() -> None:
    current = texture(40, 50)
    expected, shift = reference(np.zeros_like(current), current)
    found, chosen = compare(blank(40, 50), prepare(current), SSIM)
    assert chosen == shift
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_constant_frame_ties_and_the_first_shift_wins() -> None:
    """SSIM's constants are 0 for a constant frame and scikit-image's answer 0 / 0; taken as 1e-4 of the magnitude."""
    same = np.full((20, 24, 3), 0.7, np.float32)
    found, chosen = motion_map(same, same, SSIM)
    np.testing.assert_allclose(found, 1, atol=1e-3)
    assert chosen == 0


@pytest.mark.parametrize("value", [-1.4, 0, 0.7, 2])
def test_constant_frame_after_a_textured_one_is_nowhere_alike(value: float) -> None:
    previous = texture(20, 24)
    found, _ = motion_map(previous, np.full_like(previous, value), SSIM)
    np.testing.assert_allclose(found, 0, atol=TOLERANCE)


def test_zeros_are_like_zeros() -> None:
    zeros = np.zeros((20, 24, 3), np.float32)
    np.testing.assert_allclose(motion_map(zeros, zeros, SSIM)[0], 1, atol=1e-6)


@pytest.mark.parametrize("contrast", [0.5, 0.1, 0.02])
def test_low_contrast_agrees_with_double_precision(contrast: float) -> None:
    """A dark scene: float32 would round away more than the tolerance, in scikit-image too, so that runs in float64."""
    previous, current = (contrast * texture(40, 50, seed) + 1.5 for seed in (1, 2))
    expected, shift = reference(previous.astype(np.float64), current.astype(np.float64))
    found, chosen = motion_map(previous, current, SSIM)
    assert chosen == shift
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["ssim", "dsim", "flow", "previous"])
def test_a_stream_equals_single_calls_bit_for_bit(kind: Any) -> None:
    frames = [texture(70, 81, seed) for seed in range(4)] + [np.full((70, 81, 3), 0.3, np.float32), texture(70, 81, 9)]
    chosen = MotionSettings(kind=kind)
    previous, spare = prepare(frames[0]), None
    for before, frame in pairwise(frames):
        current = prepare(frame, spare)
        found, shift = compare(previous, current, chosen)
        alone, single = motion_map(before, frame, chosen)
        np.testing.assert_array_equal(found, alone)
        assert shift == single
        previous, spare = current, previous


def test_a_spare_of_another_size_is_left_alone() -> None:
    small, large = prepare(texture(10, 12)), texture(20, 24)
    mean = small.windows.mean.copy()
    np.testing.assert_array_equal(prepare(large, small).windows.mean, prepare(large).windows.mean)
    np.testing.assert_array_equal(small.windows.mean, mean)


def test_views_are_taken_as_they_are() -> None:
    wide, current = texture(30, 80), texture(30, 40, 2)
    previous = wide[:, ::2]
    expected, _ = motion_map(previous.copy(), current, SSIM)
    np.testing.assert_array_equal(motion_map(previous, current, SSIM)[0], expected)


@pytest.mark.parametrize(
    ("frame", "remedy"),
    [
        (np.zeros((6, 20, 3), np.float32), "at least 7x7"),
        (np.zeros((20, 6, 3), np.float32), "at least 7x7"),
        (np.zeros((0, 0, 3), np.float32), "at least 7x7"),
        (np.zeros((20, 20), np.float32), "normalise it first"),
        (np.zeros((20, 20, 4), np.float32), "normalise it first"),
        (np.zeros((20, 20, 3), np.uint8), "normalise it first"),
        (np.full((20, 20, 3), np.nan, np.float32), "check mean and std"),
        (np.full((20, 20, 3), np.inf, np.float32), "check mean and std"),
    ],
)
def test_refuses_what_has_no_map(frame: Image, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        prepare(frame)


def test_refuses_frames_of_two_sizes() -> None:
    with pytest.raises(ValueError, match="start again with `blank`"):
        compare(blank(20, 24), blank(24, 20), SSIM)


def test_kind_none_has_no_map() -> None:
    with pytest.raises(ValueError, match="give the network the frame alone"):
        compare(blank(20, 24), blank(20, 24), MotionSettings(kind="none"))


def test_settings_name_their_choices() -> None:
    with pytest.raises(ValueError, match="use one of ssim, dsim, flow, previous, none"):
        MotionSettings(kind="optical")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1 frame back"):
        MotionSettings(gap=0)


sizes = st.integers(7, 40)


@given(sizes, sizes, st.integers(0, 1000))
def test_a_frame_is_like_itself(height: int, width: int, seed: int) -> None:
    frame = texture(height, width, seed, blur=0.8)
    found, chosen = motion_map(frame, frame.copy(), SSIM)
    assert chosen == IDENTITY
    np.testing.assert_allclose(found, 1, atol=1e-5)


@given(sizes, sizes, st.integers(0, 1000), st.floats(-3, 3, width=32), st.floats(0, 4, width=32))
def test_the_map_lies_between_minus_one_and_one(
    height: int, width: int, seed: int, middle: float, contrast: float
) -> None:
    previous = texture(height, width, seed)
    current = (texture(height, width, seed + 1) * contrast + middle).astype(np.float32)
    found, shift = motion_map(previous, current, SSIM)
    assert 0 <= shift < len(SHIFTS)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1 + 1e-3
