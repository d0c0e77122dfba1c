"""How frames get to the network: one by one or several cameras at once, by the CPU and by cv2.cuda (over the fake)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import inference
from edge.engines.inference_cuda import TOLERANCE, with_cuda_preprocessing
from edge.engines.motion_cuda import MotionCudaError
from edge.engines.tensorrt_errors import TensorRtError
from edge.engines.tensorrt_runner import Runner
from edge.inference import Engine, LoadedEngine, NetworkFrame, NetworkResult, Outputs
from edge.motion_map import MotionSettings
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.fake_gpu import FakeGpu, fake_gpu, serialized_engine
from tests.support.fake_tensorrt import Network
from tests.support.tiny_model import MANIFEST as TINY
from tests.support.tiny_model import SIZE

Image = NDArray[np.uint8]
MANIFEST = replace(TINY, motion=MotionSettings("ssim"))  # what shines is frame and map together
WITH_MOTION = Network(inputs={"image": ((-1, 6, SIZE, SIZE), "FLOAT")})
SIZES = ((80, 60), (31, 47), (160, 90))  # (width, height) of three cameras


def picture(camera: int, frame: int) -> Image:
    width, height = SIZES[camera]
    drawn = np.random.default_rng(100 * camera).integers(0, 255, (height, width, 3))
    return np.roll(drawn, frame, axis=1).astype(np.uint8)


def on_gpu(gpu: FakeGpu, largest: int = 4) -> LoadedEngine:
    """The tiny network in a fake TensorRT, whose input cv2.cuda fills."""
    runner = Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt, 1, largest))
    engine = Engine(runner.infer, MANIFEST, "0" * 64, "fake", largest)
    return with_cuda_preprocessing(LoadedEngine(engine, runner, Path("tiny.engine")), FakeCv2Cuda(gpu.runtime))


@dataclass(frozen=True, eq=False)
class Copied:
    outputs: Outputs
    motion: NDArray[np.float32]
    motion_state: Any


def copied(one: NetworkResult) -> Copied:
    motion_map = one.motion()
    assert motion_map is not None
    return Copied(one.outputs, motion_map, one.motion_state)


def results_of(engine: Engine, count: int, together: bool) -> list[list[Copied]]:
    """Three cameras, frame by frame; all in one run of the network or each in its own."""
    results: list[list[Copied]] = [[] for _ in SIZES]
    for index in range(count):
        frames = [
            NetworkFrame(
                picture(camera, index),
                index / MANIFEST.rate,
                MANIFEST.motion,
                MANIFEST.gap,
                results[camera][-1].motion_state if index else None,
            )
            for camera in range(len(SIZES))
        ]
        batches = [frames] if together else [[frame] for frame in frames]
        answers = [copied(one) for batch in batches for one in inference.run_network(engine, batch, lambda stage: None)]
        for camera, one in enumerate(answers):
            results[camera].append(one)
    return results


def hold_equal(first: Sequence[Sequence[Copied]], second: Sequence[Sequence[Copied]], tolerance: float) -> None:
    for ours, theirs in zip(first, second, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.outputs.keys() == other.outputs.keys()
            assert one.motion.shape == (SIZE, SIZE, 3)
            np.testing.assert_allclose(one.motion, other.motion, atol=tolerance)
            for name in one.outputs:
                np.testing.assert_allclose(one.outputs[name], other.outputs[name], atol=tolerance)


def test_cameras_in_one_batch_get_the_results_of_single_ones() -> None:
    gpu = fake_gpu("10.3", WITH_MOTION)
    with Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt, 1, 4)) as runner:
        engine = Engine(runner.infer, MANIFEST, "0" * 64, "fake", 4)
        hold_equal(results_of(engine, 4, together=True), results_of(engine, 4, together=False), 1e-6)


@pytest.mark.parametrize("together", [True, False])
def test_cv2_cuda_fills_the_network_input_as_the_cpu_does(together: bool) -> None:
    gpu = fake_gpu("10.3", WITH_MOTION)
    with on_gpu(gpu) as engine:
        assert engine.run_frames is not None
        hold_equal(
            results_of(engine, 4, together),
            results_of(replace(engine, run_frames=None), 4, together=False),
            tolerance=TOLERANCE,
        )


def test_an_engine_that_fails_is_named() -> None:
    gpu = fake_gpu("10.3", WITH_MOTION)
    with on_gpu(gpu) as engine:
        gpu.trt.failing["IExecutionContext.execute_async_v3"] = "out of memory"
        with pytest.raises(TensorRtError, match=r"^tiny\.engine: .*out of memory"):
            results_of(engine, 1, together=True)


class Stubbed(FakeCv2Cuda):
    """One whose remap does nothing."""

    def remap(self, *arguments: Any, dst: Any, **options: Any) -> Any:  # type: ignore[override]
        dst.data[:] = 0
        return dst


def test_a_cv2_cuda_that_computes_something_else_is_refused() -> None:
    """As one whose NPP is a stub does."""
    gpu = fake_gpu("10.3", WITH_MOTION)
    runner = Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt))
    engine = LoadedEngine(Engine(runner.infer, MANIFEST, "0" * 64, "fake"), runner, Path("tiny.engine"))
    with runner, pytest.raises(MotionCudaError, match=r"cv2\.cuda computes another input, off by .*; the CPU computes"):
        with_cuda_preprocessing(engine, Stubbed(gpu.runtime))


def test_only_tensorrt_is_filled_by_cv2_cuda() -> None:
    gpu = fake_gpu("10.3", WITH_MOTION)
    engine = LoadedEngine(Engine(lambda inputs: inputs, MANIFEST, "0" * 64, "onnxruntime"))
    with pytest.raises(MotionCudaError, match="TensorRT engines alone"):
        with_cuda_preprocessing(engine, FakeCv2Cuda(gpu.runtime))
