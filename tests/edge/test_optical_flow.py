"""Optical flow as a motion map."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detector import normalise
from edge.manifest import Manifest
from edge.motion_map import IDENTITY, MotionSettings, blank, compare, motion_map, prepare
from edge.optical_flow import flow_map

Image = NDArray[np.float32]


def texture(height: int = 140, width: int = 200, seed: int = 0) -> Image:
    """Smooth, (H, W, 3), of unit deviation or so."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    return (6 * cv2.GaussianBlur(noise, (0, 0), 3)).astype(np.float32)


def window(scene: Image, dy: int, dx: int) -> Image:
    """What a camera sees of a scene, (96, 128, 3): things in view lie `dy` up and `dx` left of where they lay at 0."""
    return np.ascontiguousarray(scene[20 + dy : 116 + dy, 20 + dx : 148 + dx])


@pytest.mark.parametrize(("dy", "dx"), [(0, 3), (2, -4), (5, 6)])
def test_flow_holds_where_pixels_came_from(dy: int, dx: int) -> None:
    scene = texture()
    moved = flow_map(window(scene, 0, 0), window(scene, dy, dx), steady=False)
    assert moved.shape == (96, 128, 3)
    assert moved.dtype == np.float32
    inside = moved[16:-16, 16:-16]
    assert np.abs(inside[..., 0] - dx).mean() < 0.2
    assert np.abs(inside[..., 1] - dy).mean() < 0.2


def test_the_motion_of_the_camera_is_taken_out_and_that_of_a_thing_stays() -> None:
    before, now = window(scene := texture(), 0, 0), window(scene, 2, 3)
    thing = texture(40, 40, seed=1)
    before[30:70, 60:100], now[30:70, 64:104] = thing, thing
    moved = flow_map(before, now, steady=True)
    assert np.abs(np.median(moved[..., :2], axis=(0, 1))).max() < 0.1
    assert np.median(moved[44:56, 76:92, 0]) < -4  # it went 4 to the right while the camera went 3
    kept = flow_map(before, now, steady=False)
    np.testing.assert_allclose(np.median(kept[..., :2], axis=(0, 1)), (3, 2), atol=0.4)


def test_the_third_channel_is_the_change_of_grey() -> None:
    """A step of one standard deviation in all colours is about 71 grey levels."""
    before = (texture() / 6).astype(np.float32)
    now = before.copy()
    now[40:60, 40:60] += 1
    change = flow_map(before, now, steady=True)[..., 2]
    np.testing.assert_allclose(change[40:60, 40:60], 71 / 64, atol=0.02)
    assert np.abs(change[:30]).max() < 1e-6


def test_the_first_frame_has_no_motion() -> None:
    found, shift = compare(blank(96, 128), prepare(window(texture(), 0, 0)), MotionSettings("flow"))
    assert shift == IDENTITY
    assert not found.any()


FITTED = Manifest("any", ("Run",), 96, 128)  # 4:3


def seen(seed: int, moved: int, width: int, height: int) -> Image:
    """A picture of these sides as the network sees it, with black bars; the camera has gone so many pixels right."""
    scene = texture(height, width + 100, seed) * 30 + 128
    return normalise(np.ascontiguousarray(scene[:, moved : moved + width]).clip(0, 255).astype(np.uint8), FITTED)


def test_black_bars_go_with_the_camera() -> None:
    """Of a wide picture, 256x144, they are the upper and the lower 12 rows: there too its motion is taken out."""
    before, now = seen(0, 0, 256, 144), seen(0, 6, 256, 144)
    assert np.median(flow_map(before, now, steady=False)[..., 0]) == pytest.approx(3, abs=0.3)
    steady = flow_map(before, now, steady=True)
    assert np.abs(steady[:12, :, 0]).mean() < 0.3
    assert np.abs(steady[12:-12, 12:-12, 0]).mean() < 0.3


def test_beside_bars_of_more_than_half_the_camera_is_not_taken_out() -> None:
    """Of an upright picture, 90x160, they are 74 of 128 columns, and stand still; it has moved by 3 px."""
    before, now = seen(0, 0, 90, 160), seen(0, 5, 90, 160)
    assert np.median(flow_map(before, now, steady=True)[:, 48:80, 0]) > 1


@pytest.mark.parametrize("kind", ["cut", "dark", "light", "wall"])
def test_what_no_flow_explains_gives_a_map_of_numbers(kind: str) -> None:
    """A cut, a light that goes out or on, a wall of one colour: no NaN, and no motion farther than the picture."""
    picture, dark = seen(0, 0, 160, 120), np.full_like(seen(0, 0, 160, 120), -1.5)
    pairs = {
        "cut": (picture, seen(5, 0, 160, 120)),
        "dark": (picture, dark),
        "light": (dark, picture),
        "wall": (dark, np.full_like(dark, 1.5)),
    }
    found = flow_map(*pairs[kind], steady=True)
    assert np.isfinite(found).all()
    assert np.abs(found[..., :2]).max() < 96
    assert np.abs(found[..., 2]).max() <= 255 / 64


@pytest.mark.parametrize("shifts", [True, False])
def test_the_motion_map_of_kind_flow_is_the_flow(shifts: bool) -> None:
    """`shifts` takes small camera motion out, here as well as in SSIM."""
    scene = texture()
    before, now = window(scene, 0, 0), window(scene, 0, 4)
    found, _ = motion_map(before, now, MotionSettings("flow", shifts))
    np.testing.assert_array_equal(found, flow_map(before, now, steady=shifts))
    assert (np.abs(np.median(found[..., 0])) < 0.1) == shifts
