from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import letterbox
from train import augment
from train.augment import ERASED, MINIMUM_VISIBLE, NO_AUGMENTATION, Augmentation, AugmentSettings

SOURCE, INPUT = (160, 120), (128, 96)  # (width, height)
NO_BOXES = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
PLACED = replace(AugmentSettings(), erase=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, grey=0.0)


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(seed: int = 0) -> NDArray[np.uint8]:
    return random(seed).integers(0, 256, (SOURCE[1], SOURCE[0], 3), dtype=np.uint8)


def one(box: tuple[float, float, float, float]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.array([box], np.float32), np.array([1])


def placed(matrix: list[list[float]]) -> Augmentation:
    return Augmentation(np.eye(3, 4, dtype=np.float32), np.array(matrix, np.float64), None)


def test_no_augmentation_is_the_letterbox() -> None:
    drawn = augment.draw(NO_AUGMENTATION, SOURCE, INPUT, random(0))
    matrix = letterbox.affine(SOURCE, INPUT)
    np.testing.assert_allclose(drawn.matrix, matrix, atol=1e-12)
    np.testing.assert_array_equal(
        augment.apply(drawn, noise(), INPUT), cv2.warpAffine(noise(), matrix, INPUT, flags=cv2.INTER_LINEAR)
    )


def test_both_frames_of_a_sample_get_the_same_draw() -> None:
    drawn = augment.draw(AugmentSettings(), SOURCE, INPUT, random(3))
    np.testing.assert_array_equal(augment.apply(drawn, noise(), INPUT), augment.apply(drawn, noise(), INPUT))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    first, again, other = (augment.draw(AugmentSettings(), SOURCE, INPUT, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.matrix, again.matrix)
    np.testing.assert_array_equal(first.colour, again.colour)
    assert first.erased == again.erased
    assert not np.allclose(first.matrix, other.matrix)


@pytest.mark.parametrize("seed", range(40))
def test_a_painted_rectangle_matches_its_box(seed: int) -> None:
    """Mirrored, zoomed, stretched and shifted, cut by the border or not."""
    image = np.zeros((SOURCE[1], SOURCE[0], 3), np.uint8)
    image[40:90, 30:70] = 255
    drawn = augment.draw(PLACED, SOURCE, INPUT, random(seed))
    boxes, labels = augment.move(drawn, *one((30, 40, 70, 90)), INPUT)
    x, y, width, height = cv2.boundingRect((augment.apply(drawn, image, INPUT)[:, :, 1] > 127).astype(np.uint8))
    assert labels.tolist() == [1]
    np.testing.assert_allclose(boxes[0], [x, y, x + width, y + height], atol=1.6)


def test_mirrors_about_half_of_the_time() -> None:
    drawn = [augment.draw(AugmentSettings(), SOURCE, INPUT, random(seed)).matrix[0, 0] < 0 for seed in range(400)]
    assert 0.4 < np.mean(drawn) < 0.6
    assert not any(augment.draw(NO_AUGMENTATION, SOURCE, INPUT, random(s)).matrix[0, 0] < 0 for s in range(20))


def test_a_mirrored_box() -> None:
    # x → 128 − 0.8 x: 10..50 becomes 88..120
    boxes, _ = augment.move(placed([[-0.8, 0, 128], [0, 0.8, 0]]), *one((10, 20, 50, 60)), INPUT)
    np.testing.assert_allclose(boxes, [[88, 16, 120, 48]], atol=1e-4)


@pytest.mark.parametrize(
    ("shift", "kept"),
    [
        (0.0, [[10, 20, 50, 60]]),
        (-20.0, [[0, 20, 30, 60]]),  # three quarters stay
        (-35.9, [[0, 20, 14.1, 60]]),  # 14.1 of 40, just above MINIMUM_VISIBLE
        (-36.1, []),
        (-60.0, []),
        (100.0, [[110, 20, 128, 60]]),  # 18 of 40
    ],
)
def test_boxes_are_clipped_or_left_out(shift: float, kept: list[list[float]]) -> None:
    assert MINIMUM_VISIBLE == 0.35
    boxes, labels = augment.move(placed([[1, 0, shift], [0, 1, 0]]), *one((10, 20, 50, 60)), INPUT)
    np.testing.assert_allclose(boxes, np.array(kept).reshape(-1, 4), atol=1e-4)
    assert len(labels) == len(kept)


def test_no_boxes() -> None:
    boxes, labels = augment.move(augment.draw(AugmentSettings(), SOURCE, INPUT, random(0)), *NO_BOXES, INPUT)
    assert (boxes.shape, labels.shape) == ((0, 4), (0,))


def test_zoom_and_shift_stay_in_their_ranges() -> None:
    settings = AugmentSettings()
    scale = letterbox.affine(SOURCE, INPUT)[0, 0]
    for seed in range(200):
        drawn = augment.draw(settings, SOURCE, INPUT, random(seed)).matrix
        zoom = np.sqrt(abs(drawn[0, 0] * drawn[1, 1])) / scale
        assert 1 / settings.zoom_out - 1e-9 <= zoom <= settings.zoom_in + 1e-9
        assert abs(drawn[0, 0] / drawn[1, 1]) <= settings.stretch**2 + 1e-9
        centre = drawn @ [SOURCE[0] / 2, SOURCE[1] / 2, 1]
        assert (abs(centre - [INPUT[0] / 2, INPUT[1] / 2]) <= np.array(INPUT) * settings.shift + 1e-9).all()


def test_grey_pixels_stay_grey() -> None:
    """Saturation and hue turn about the grey axis; contrast and brightness are the same for all channels."""
    image = np.full((SOURCE[1], SOURCE[0], 3), 120, np.uint8)
    for seed in range(20):
        drawn = augment.draw(
            replace(NO_AUGMENTATION, saturation=0.5, hue=8.0, contrast=0.3), SOURCE, INPUT, random(seed)
        )
        pixel = augment.apply(drawn, image, INPUT)[48, 64].astype(int)
        assert np.ptp(pixel) <= 1


def test_grey_takes_the_colour_out() -> None:
    drawn = augment.draw(replace(NO_AUGMENTATION, grey=1.0), SOURCE, INPUT, random(0))
    assert np.ptp(augment.apply(drawn, noise(), INPUT).astype(int), axis=2).max() <= 1


def test_erased_is_a_small_grey_rectangle() -> None:
    for seed in range(20):
        drawn = augment.draw(replace(NO_AUGMENTATION, erase=1.0), SOURCE, INPUT, random(seed))
        assert drawn.erased is not None
        image = augment.apply(drawn, np.zeros((SOURCE[1], SOURCE[0], 3), np.uint8), INPUT)
        assert (image[drawn.erased] == ERASED).all()
        height, width = image[drawn.erased].shape[:2]
        assert 0 < height <= INPUT[1] / 4
        assert 0 < width <= INPUT[0] / 4
        assert (image == ERASED).sum() == 3 * height * width
