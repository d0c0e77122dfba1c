"""Shifts that fit equally well: the first of them counts on the GPU too, whose sums are not the same twice."""

from typing import Any

import numpy as np
import pytest

from edge.engines.motion_cuda import TIE
from edge.motion_map import SHIFTS, MotionSettings
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_cv2_cuda import FakeCv2Cuda, FakeGpuMat
from tests.support.motion_target import SIZE, FakeTarget, PacedMotionCuda, manifest_of, on_cpu


class AnyOrder(FakeCv2Cuda):
    """Adds up in another order each time: every sum is larger than the one before by this `part` of it."""

    def __init__(self, cuda: FakeCuda, part: float) -> None:
        super().__init__(cuda)
        self._part, self._sums = part, 0

    def calcSum(  # noqa: N802 -- the name is OpenCV's
        self, src: FakeGpuMat, dst: FakeGpuMat | None = None, mask: Any = None, stream: Any = None
    ) -> FakeGpuMat:
        written = super().calcSum(src, dst, mask, stream)
        self._sums += 1
        factor = 1 + self._sums * self._part

        def work() -> None:
            written.data[:] *= factor

        self.begin("calcSum", stream, work)
        return written


@pytest.mark.parametrize(("part", "chosen"), [(TIE / 100, 0), (TIE * 100, len(SHIFTS) - 1)])
def test_among_equals_the_first_is_chosen_and_a_better_one_is_found(part: float, chosen: int) -> None:
    """A wall of one colour looks the same whichever way it is shifted."""
    wall = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    manifest = manifest_of(MotionSettings())
    target = FakeTarget((manifest.channels, manifest.height, manifest.width))
    filler = PacedMotionCuda(AnyOrder(target.gpu, part), target, manifest, SIZE)
    filler.fill_next(wall)
    assert [shift for _, shift in on_cpu([wall, wall], manifest)][1] == 0
    assert filler.fill_next(wall) == chosen
