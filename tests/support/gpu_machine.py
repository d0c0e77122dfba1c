"""Fixtures: a PC without a GPU, and what makes it a machine with TensorRT, a GPU and an OpenCV with CUDA, all fakes.

A test file names this one in `pytest_plugins`.
"""

import sys
from typing import Any

import pytest

from edge import open_model
from edge.engines import motion_cuda
from tests.support import fake_device
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.fake_gpu import FakeGpu, WithTensorRt, fake_gpu


@pytest.fixture
def no_nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PC without a GPU, whatever runs the tests."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(open_model, "NVIDIA_SIGNS", ())


@pytest.fixture
def with_tensorrt(no_nvidia: None, monkeypatch: pytest.MonkeyPatch) -> WithTensorRt:
    """Makes the machine one with that `gpu`; without one, with `fake_gpu` of these arguments."""

    def install(version: str = "10.3", gpu: FakeGpu | None = None, **behaviour: Any) -> FakeGpu:
        made = gpu or fake_gpu(version, **behaviour)
        monkeypatch.setattr(motion_cuda, "usable", lambda: FakeCv2Cuda(made.runtime))
        return fake_device.use(made, monkeypatch)

    return install
