import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras.image_transform import as_bgr, fingerprint, transformed
from edge.sources import Flip, parse

CORNER = np.zeros((4, 6, 3), np.uint8)
CORNER[0, 0] = (1, 2, 3)
RANDOM = np.random.default_rng(4)


def where(image: NDArray[np.uint8]) -> tuple[int, int]:
    """The row and column of the pixel that is not black."""
    ((row, column),) = np.argwhere(image.any(axis=2))
    return int(row), int(column)


@pytest.mark.parametrize(
    ("flip", "rotation", "shape", "corner"),
    [
        ("none", 0, (4, 6), (0, 0)),
        ("horizontal", 0, (4, 6), (0, 5)),
        ("vertical", 0, (4, 6), (3, 0)),
        ("both", 0, (4, 6), (3, 5)),
        ("none", 90, (6, 4), (0, 3)),  # clockwise: the left edge becomes the upper one
        ("none", 180, (4, 6), (3, 5)),
        ("none", 270, (6, 4), (5, 0)),
        ("horizontal", 90, (6, 4), (5, 3)),  # first to the right, then down
    ],
)
def test_an_image_is_flipped_then_rotated(
    flip: Flip, rotation: int, shape: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = transformed(CORNER.copy(), parse("/dev/video0", flip=flip, rotation=rotation))  # type: ignore[arg-type]
    assert image.shape == (*shape, 3)
    assert where(image) == corner
    assert image.flags.c_contiguous


def test_what_the_pipeline_has_turned_is_not_turned_again() -> None:
    image = transformed(CORNER.copy(), parse("/dev/video0", flip="vertical", rotation=90), oriented=True)
    assert where(image) == (0, 0)


@pytest.mark.parametrize(
    ("uri", "turned", "shape"),
    [
        ("rtsp://cam/x", False, (12, 8)),  # 12 wide and 8 high, then turned
        ("rtsp://cam/x", True, (12, 8)),  # the pipeline has turned it
        ("/dev/video0", False, (6, 4)),  # the camera was asked for it, and gave what it has
    ],
)
def test_a_stream_is_scaled_before_it_is_rotated(uri: str, turned: bool, shape: tuple[int, int]) -> None:
    given = np.zeros((6, 4, 3), np.uint8) if turned else CORNER.copy()
    assert transformed(given, parse(uri, 12, 8, rotation=90), turned).shape == (*shape, 3)


def test_a_scaled_image_keeps_its_brightness() -> None:
    source = parse("rtsp://cam/x", width=3, height=2)
    assert transformed(np.full((4, 6, 3), 7, np.uint8), source).tolist() == np.full((2, 3, 3), 7).tolist()


def test_a_mask_blackens_the_rotated_frame() -> None:
    mask = [((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))]  # the left half
    white = np.full((40, 60, 3), 255, np.uint8)
    image = transformed(white, parse("/dev/video0", rotation=90, mask=mask))
    assert image.shape == (60, 40, 3)
    assert not image[:, :20].any()
    assert image[:, 22:].all()  # the edge itself is black


def test_a_mask_may_cover_everything_or_lie_on_a_line() -> None:
    everything = [((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))]
    assert not transformed(np.full((5, 5, 3), 255, np.uint8), parse("/dev/video0", mask=everything)).any()
    line = [((0.0, 0.0), (1.0, 1.0), (0.0, 0.0))]
    assert transformed(np.full((5, 5, 3), 255, np.uint8), parse("/dev/video0", mask=line)).any()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_every_layout_becomes_bgr(shape: tuple[int, ...]) -> None:
    image = as_bgr(np.full(shape, 9, np.uint8))
    assert image.shape == (4, 6, 3)
    assert np.all(image == 9)


@pytest.mark.parametrize("shape", [(1, 1, 3), (120, 160, 3), (1080, 1920, 3)])
def test_only_identical_images_share_a_fingerprint(shape: tuple[int, ...]) -> None:
    image = RANDOM.integers(0, 256, shape, np.uint8)
    assert fingerprint(image) == fingerprint(image.copy())
    assert fingerprint(image) != fingerprint(image ^ np.uint8(1))
    assert 0 <= fingerprint(image) < 2**64


def test_sensor_noise_changes_the_fingerprint_of_a_still_scene() -> None:
    """Noise of one level in every thousandth pixel: less than any sensor has."""
    scene = np.full((720, 1280, 3), 128, np.uint8)
    prints = set()
    for _ in range(50):
        noisy = scene.copy()
        noisy[RANDOM.random(scene.shape[:2]) < 0.001] += 1
        prints.add(fingerprint(noisy))
    assert len(prints) == 50


def test_a_turned_over_minute_changes_the_fingerprint() -> None:
    """A change as large as a digit of a clock in the picture, anywhere in it."""
    scene = np.zeros((1080, 1920, 3), np.uint8)
    for row, column in RANDOM.integers(0, (1060, 1900), (20, 2)):
        changed = scene.copy()
        changed[row : row + 20, column : column + 12] = 255
        assert fingerprint(changed) != fingerprint(scene)
