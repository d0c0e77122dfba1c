"""When preprocessing inside a model counts as equal to the daemon's, and when not."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from convert import graft_check
from convert.calibration import FramePair
from convert.graft_check import GraftParity
from edge import detector, motion_map
from edge.graph_inference import GraphInference
from edge.inference import Engine, Outputs
from edge.manifest import FITTED, FRAME, MOTION, OUTPUTS, PREVIOUS, SHIFT, Manifest
from edge.motion_map import IDENTITY, SHIFTS, MotionKind, MotionSettings
from tests.support.graft import noise, run_of

Image = NDArray[np.uint8]
SSIM = Manifest("ssim", ("Run",), 96, 128)


def choosing(shift: int, manifest: Manifest, map_of: int | None = None) -> Engine:
    """Runs the real graph, but where there is a past frame it gives that shift, and the map of it or of `map_of`."""
    run = run_of(manifest)

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        outputs = run(inputs[FRAME], inputs[PREVIOUS])
        if not inputs[PREVIOUS].any():
            return outputs
        dy, dx = SHIFTS[shift if map_of is None else map_of]
        before, current = (one[0].transpose(1, 2, 0) for one in (inputs[PREVIOUS], outputs[FITTED]))
        mirrored = cv2.copyMakeBorder(current, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
        moved = mirrored[1 + dy : 97 + dy, 1 + dx : 129 + dx].astype(np.float32)
        found, _ = motion_map.motion_map(np.ascontiguousarray(before), moved, replace(manifest.motion, shifts=False))
        return {**outputs, SHIFT: np.array([shift]), MOTION: found.transpose(2, 0, 1)[None]}

    return Engine(infer, replace(manifest, preprocessing="graph"), "", "test")


def maps_found(engine: Engine, *frames: Image) -> GraftParity:
    """As `found`, of an engine that can only be asked for its map."""

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        return {**engine.infer(inputs), **{name: np.zeros((1, 1)) for name in OUTPUTS}}

    run_frames = GraphInference(infer, engine.manifest)
    whole = replace(engine, infer=infer, run_frames=run_frames, preprocessor="graph")
    return graft_check.compare_maps(whole, [FramePair(frames[-1], frames[0])])


def found(engine: Engine, *frames: Image) -> GraftParity:
    parity, _ = graft_check.compare(engine, [FramePair(frames[-1], frames[0])])
    return parity


def rows(seed: int = 0) -> Image:
    """Every row is the same, so that a shift up or down changes nothing."""
    return np.repeat(noise((1, 128, 3), seed), 96, axis=0)


def shift_of(dy: int, dx: int) -> int:
    return SHIFTS.index((dy, dx))


@pytest.mark.parametrize("kind", ["ssim", "dsim"])
def test_another_shift_of_equal_score_is_right(kind: MotionKind) -> None:
    manifest = replace(SSIM, motion=MotionSettings(kind))
    parity = found(choosing(shift_of(1, 0), manifest), rows())
    assert (parity.frames, parity.shifts, parity.worse) == (1, 1, 0)
    assert parity.within_tolerance
    assert "another shift in 1 of 1 frames, a worse one in 0 (none allowed)" in str(parity)


@pytest.mark.parametrize("kind", ["ssim", "dsim"])
def test_a_shift_that_scores_less_is_wrong(kind: MotionKind) -> None:
    manifest = replace(SSIM, motion=MotionSettings(kind))
    parity = found(choosing(shift_of(0, 1), manifest), rows())
    assert (parity.shifts, parity.worse) == (1, 1)
    assert parity.maps <= graft_check.TOLERANCE, "the map is that of its shift"
    assert not parity.within_tolerance


def test_with_a_shift_of_equal_score_its_own_map_must_come() -> None:
    frames = rows(), rows(1)
    best = motion_shift(*frames)
    across = SHIFTS[best][1]
    equal = next(i for i, (_, dx) in enumerate(SHIFTS) if dx == across and i != best)
    other = next(i for i, (_, dx) in enumerate(SHIFTS) if dx != across)
    assert found(choosing(equal, SSIM), *frames).within_tolerance
    parity = found(choosing(equal, SSIM, map_of=other), *frames)
    assert parity.worse == 0
    assert parity.maps > graft_check.TOLERANCE
    assert not parity.within_tolerance


def test_of_an_engine_that_does_not_tell_its_shift_the_nearest_map_is_taken() -> None:
    scene = noise((96, 128, 3))
    best = motion_shift(scene, scene)
    right, wrong = (maps_found(choosing(shift, SSIM), scene) for shift in (best, (best + 1) % len(SHIFTS)))
    assert (right.shifts, right.within_tolerance) == (0, True)
    assert (wrong.shifts, wrong.worse) == (1, 1)
    assert wrong.maps <= graft_check.TOLERANCE
    other = maps_found(choosing(shift_of(1, 0), SSIM), rows())
    assert other.within_tolerance, "a shift of equal score"
    unshifted = replace(SSIM, motion=MotionSettings("ssim", shifts=False))
    moved = maps_found(choosing(IDENTITY, unshifted, map_of=0), scene)
    assert moved.maps > graft_check.TOLERANCE


def motion_shift(before: Image, current: Image) -> int:
    return motion_map.motion_map(detector.normalise(before, SSIM), detector.normalise(current, SSIM), SSIM.motion)[1]


@pytest.mark.parametrize(
    "motion", [MotionSettings("ssim", shifts=False), MotionSettings("previous")], ids=["unshifted", "previous"]
)
def test_where_no_shift_is_searched_another_is_wrong(motion: MotionSettings) -> None:
    manifest = replace(SSIM, motion=motion)
    black = np.zeros((96, 128, 3), np.uint8)
    assert found(choosing(IDENTITY, manifest), black).within_tolerance
    assert found(choosing(0, manifest, map_of=IDENTITY), black).worse == 1


def test_a_shift_that_does_not_exist_is_wrong() -> None:
    parity = found(choosing(len(SHIFTS), SSIM, map_of=IDENTITY), noise((96, 128, 3)))
    assert (parity.worse, parity.within_tolerance) == (1, False)


@pytest.mark.parametrize(
    ("parity", "good"),
    [
        (GraftParity(200, 1e-4, 1e-4, 9), True),
        (GraftParity(200, 1e-4, 1e-4, 9, 1), False),
        (GraftParity(200, 2e-3), False),
        (GraftParity(200, 0.0, 2e-3), False),
        (GraftParity(200, float("nan")), False),
    ],
)
def test_what_is_tolerated(parity: GraftParity, good: bool) -> None:
    assert parity.within_tolerance == good
