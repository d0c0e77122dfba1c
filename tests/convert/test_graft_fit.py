"""Frames fitted inside a model, against `edge.detector.fit`, which is cv2's."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convert.graft import GraftError, with_preprocessing
from convert.graph_fit import fits_as_cv2
from edge import detector
from edge.manifest import FITTED, Manifest
from edge.motion_map import MotionSettings
from tests.support.graft import Run, narrowed, noise, run_of, runs, without_network

Image = NDArray[np.uint8]
SMALL = Manifest("small", ("Run",), 96, 128, motion=MotionSettings("none"))
SSIM = replace(SMALL, motion=MotionSettings("ssim"))
SIZES = [(1, 1), (7, 9), (1, 4096), (4096, 1), (96, 128), (97, 128), (640, 360), (2160, 3840), (240, 320), (1080, 1920)]
FIT_TOLERANCE = 1e-5  # a grey level is 0.013


def of_size(height: int, width: int) -> Manifest:
    return replace(SMALL, height=height, width=width)


def assert_fitted(image: Image, manifest: Manifest, run: Run | None = None) -> None:
    expected = detector.normalise(image, manifest)
    got = (run or run_of(manifest))(image[None])[FITTED][0].transpose(1, 2, 0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=FIT_TOLERANCE)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("manifest", [SMALL, of_size(224, 288)], ids=["96", "224"])
def test_frames_are_fitted_to_the_grey_level(manifest: Manifest, size: tuple[int, int]) -> None:
    assert_fitted(noise((*size, 3)), manifest)


@given(height=st.integers(1, 500), width=st.integers(1, 500), side=st.sampled_from([(96, 128), (224, 288), (480, 416)]))
@example(height=1, width=500, side=(96, 128))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_frames_of_any_size_are_fitted_to_the_grey_level(height: int, width: int, side: tuple[int, int]) -> None:
    assert_fitted(noise((height, width, 3), height), of_size(*side))


def test_a_frame_of_the_inputs_size_passes_unchanged() -> None:
    image = noise((96, 128, 3))
    expected = detector.standardise(image, SSIM)
    np.testing.assert_allclose(run_of(SSIM)(image[None])[FITTED][0].transpose(1, 2, 0), expected, atol=FIT_TOLERANCE)


@pytest.mark.parametrize("side", [(96, 2080), (2080, 96), (32, 4064), (2016, 1984)], ids=str)
def test_networks_of_large_inputs(side: tuple[int, int]) -> None:
    for size in [(1, 1), (7, 9), (480, 640), (1080, 1920), side]:
        assert_fitted(noise((*size, 3)), of_size(*side))


@pytest.mark.parametrize("side", [(96, 128), (224, 288), (992, 1024), (2016, 1984)], ids=str)
def test_int32_is_enough(side: tuple[int, int]) -> None:
    """TensorRT 8.6 narrows whole numbers to it."""
    manifest = of_size(*side)
    run = runs(narrowed(with_preprocessing(without_network(manifest), manifest)), manifest)
    for size in [(7, 9), (2160, 3840), (1, 3840), (2160, 1)]:
        assert_fitted(noise((*size, 3)), manifest, run)


@pytest.mark.parametrize("side", [(2048, 96), (96, 2048), (4096, 4096), (4064, 4032)], ids=str)
def test_inputs_at_whose_size_cv2_cannot_be_followed_are_refused(side: tuple[int, int]) -> None:
    manifest = of_size(*side)
    with pytest.raises(GraftError, match=f"at {side[1]}x{side[0]} px a graph does not fit every frame as OpenCV"):
        with_preprocessing(without_network(manifest), manifest)


def halfway_positions(side: int) -> Iterator[int]:
    """The frame sizes that put a pixel of an input's side just between two of cv2's parts of a pixel."""
    for size in range(1, 50):
        parts = np.arange(side) * size * 2 * 1024
        if (parts % side == 0).any() and (parts[parts % side == 0] // side % 2 == 1).any():
            yield size


def test_only_at_multiples_of_2048_a_position_lies_halfway() -> None:
    """So others need not be refused, whatever the frame is."""
    sides = range(32, 4097, 32)
    assert [side for side in sides if any(halfway_positions(side))] == [2048, 4096]
    assert [side for side in sides if not fits_as_cv2(of_size(32, side))] == [2048, 4096]
