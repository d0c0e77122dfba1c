"""The motion map of torch is `edge.motion_map`'s, within 1e-3, of the same grey levels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge import detector, motion_map
from edge.manifest import Manifest
from edge.motion_map import IDENTITY, SHIFTS, MotionSettings
from train.gpu.motion import MotionMaps

HEIGHT, WIDTH = 64, 96
MANIFEST = Manifest("tiny", ("Run",), HEIGHT, WIDTH, MotionSettings("ssim"))
Levels = NDArray[np.uint8]


def noise(seed: int, low: int = 0, high: int = 256) -> Levels:
    return np.random.default_rng(seed).integers(low, high, (HEIGHT + 2, WIDTH + 2, 3), dtype=np.uint8)


def middle(image: Levels) -> Levels:
    return image[1:-1, 1:-1]


def computed(before: Levels | None, after: Levels) -> tuple[NDArray[np.float32], int]:
    """By torch, in a batch of two, whose other frame is another."""
    other = middle(noise(99))
    pairs = [(other, other), (other if before is None else before, after)]
    first, second = (torch.from_numpy(np.stack([pair[i] for pair in pairs])).permute(0, 3, 1, 2).int() for i in (0, 1))
    known = torch.tensor([True, before is not None])
    found, shift = MotionMaps(MANIFEST, torch.device("cpu")).similarity(first, known, second)
    return found[1].permute(1, 2, 0).numpy(), int(shift[1])


def expected(before: Levels | None, after: Levels) -> tuple[NDArray[np.float32], int]:
    current = detector.standardise(after, MANIFEST)
    previous = np.zeros_like(current) if before is None else detector.standardise(before, MANIFEST)
    return motion_map.motion_map(previous, current, MANIFEST.motion)


def same(before: Levels | None, after: Levels) -> int:
    """That both are; returns the shift."""
    ours, shift = expected(before, after)
    theirs, found = computed(before, after)
    assert found == shift
    np.testing.assert_allclose(theirs, ours, atol=1e-3)
    return found


@pytest.mark.parametrize("shift", range(len(SHIFTS)))
def test_each_shift_is_found(shift: int) -> None:
    """The camera has moved by it: shifted[y, x] = current[y + dy, x + dx] is the previous frame."""
    image, (dy, dx) = noise(1), SHIFTS[shift]
    assert same(middle(np.roll(image, (-dy, -dx), (0, 1))), middle(image)) == shift


def test_a_still_scene_is_one_everywhere() -> None:
    image = middle(noise(2))
    assert same(image, image) == IDENTITY
    np.testing.assert_allclose(computed(image, image)[0], 1, atol=1e-6)


@pytest.mark.parametrize("low", [0, 120, 250])
def test_scenes_with_little_contrast(low: int) -> None:
    same(middle(noise(3, low, low + 5)), middle(noise(4, low, low + 5)))


def test_a_light_that_goes_out_or_on() -> None:
    same(middle(noise(5)), middle(noise(6, 0, 4)))
    same(middle(noise(6, 0, 4)), middle(noise(5)))


def test_before_the_first_frame_there_are_zeros() -> None:
    same(None, middle(noise(7)))


@pytest.mark.parametrize("level", [0, 104, 255])
def test_a_frame_of_one_colour(level: int) -> None:
    same(middle(noise(8)), np.full((HEIGHT, WIDTH, 3), level, np.uint8))
