"""Engines that prepare frames themselves, over the fakes of TensorRT and CUDA: as ONNX Runtime, and nothing leaks."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import inference
from edge.engines import engine_build, engine_record, onnxruntime_engine, tensorrt_engine
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import Engine, LoadedEngine, NetworkFrame
from edge.manifest import OUTPUTS, Manifest
from edge.motion_gap import MotionGap
from edge.motion_map import MotionSettings
from tests.support.fake_gpu import VERSIONS, FakeGpu
from tests.support.frame_gpu import frame_gpu
from tests.support.frame_model import MANIFEST, write_frame_model
from tests.support.spot_model import SIDE, spot

SAME, OTHER, HUGE = (SIDE, SIDE), (96, 48), (24, 2168)  # (width, height); the last is more than engines are built for
FITTED_BYTES = 3 * SIDE * SIDE * 4


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frame_model(tmp_path_factory.mktemp("frames") / "frames.onnx")


@pytest.fixture
def gpu(onnx: Path) -> Iterator[FakeGpu]:
    made = frame_gpu("10.3", onnx)
    yield made
    assert made.runtime.leaks == 0


def built(gpu: FakeGpu, onnx: Path, folder: Path, max_batch: int = 3) -> LoadedEngine:
    target = folder / "frames.engine"
    engine_build.build(gpu.trt, onnx, target, BuildOptions(max_batch=max_batch))
    return tensorrt_engine.load(target, gpu.trt, gpu.cuda)


def frame(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(index).integers(0, 40, (size[1], size[0], 3), dtype=np.uint8)
    return np.maximum(noise, spot(2 + index % 8, size))


def step(
    engine: Engine, index: int, sizes: list[tuple[int, int]], states: list[Any], gap: int = 1, pause: float = 0.0
) -> list[Any]:
    """The results of one batch: outputs, motion map and new state of each camera."""
    given = [
        NetworkFrame(frame(index, size), index / 25 + pause, engine.manifest.motion, MotionGap(gap / 25, 25), state)
        for size, state in zip(sizes, states, strict=True)
    ]
    results = inference.run_network(engine, given, lambda stage: None)
    return [(one.outputs, one.motion(), one.motion_state) for one in results]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("sizes", "gap"), [([SAME], 1), ([OTHER], 3), ([SAME, SAME, SAME], 2), ([SAME, OTHER], 1), ([OTHER, OTHER], 2)]
)
def test_it_gives_what_onnx_runtime_gives(
    version: str, sizes: list[tuple[int, int]], gap: int, onnx: Path, tmp_path: Path
) -> None:
    gpu, cpu = frame_gpu(version, onnx), onnxruntime_engine.load(onnx, 1, preprocessing="graph")
    with built(gpu, onnx, tmp_path) as engine:
        ours, theirs = [None] * len(sizes), [None] * len(sizes)
        for index in range(7):
            found, expected = step(engine, index, sizes, ours, gap), step(cpu, index, sizes, theirs, gap)
            for (outputs, motion, _), (other_outputs, other_motion, _) in zip(found, expected, strict=True):
                np.testing.assert_array_equal(motion, other_motion)
                for name in OUTPUTS:
                    np.testing.assert_array_equal(outputs[name], other_outputs[name])
            ours, theirs = [one[2] for one in found], [one[2] for one in expected]
        del found, ours
    assert gpu.runtime.leaks == 0


def test_after_a_long_pause_the_map_is_that_of_the_first_frame(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    """Of that camera alone: the other one in the batch had none. The places of its former frames are free again."""
    with built(gpu, onnx, tmp_path) as engine:
        states: list[Any] = [None, None]
        for index in range(6):
            states = [one[2] for one in step(engine, index, [SAME, SAME], states, gap=3)]
        held = gpu.runtime.leaks  # all that is allocated now
        steady, away = states
        ((_, still_there, steady),) = step(engine, 6, [SAME], [steady], gap=3)
        ((_, first, away),) = step(engine, 6, [SAME], [away], gap=3, pause=60.0)
        assert still_there.any()
        assert not first.any()
        assert len(away.past) == 1
        ((_, second, away),) = step(engine, 7, [SAME], [away], gap=3, pause=60.0)
        assert second.any()
        assert gpu.runtime.leaks == held
        del steady, away, states


def test_only_frames_go_up_and_only_detections_come_down(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    with built(gpu, onnx, tmp_path) as engine:
        ((_, _, state),) = step(engine, 0, [OTHER], [None])
        gpu.runtime.copied.clear()
        given = NetworkFrame(frame(1, OTHER), 1 / 25, MANIFEST.motion, MotionGap(1 / 25, 25), state)
        (result,) = inference.run_network(engine, [given], lambda stage: None)
        detections = [4 * 4, 4, 8, 2 * 4]
        assert gpu.runtime.copied == [96 * 48 * 3, FITTED_BYTES, *detections, FITTED_BYTES]  # previous and fitted stay
        gpu.runtime.copied.clear()
        result.motion()
        assert gpu.runtime.copied == [FITTED_BYTES]


def test_memory_grows_with_the_frames_and_is_used_again(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    with built(gpu, onnx, tmp_path, max_batch=1) as engine:
        states: list[Any] = [None]
        for size in (SAME, OTHER, SAME):  # as after changes of a camera's resolution
            states = [None]
            for index in range(4):
                states = [step(engine, index, [size], states, gap=2)[0][2]]
        calls = gpu.runtime.calls.count("cudaMalloc")
        for index in range(10):
            states = [step(engine, index, [SAME], states, gap=2)[0][2]]
        assert gpu.runtime.calls.count("cudaMalloc") == calls
        largest = max(len(block) for block in gpu.runtime.device_blocks.values())
        assert largest == FITTED_BYTES  # of this tiny network; a frame of 96x48 takes less
        gc.collect()
        places = sum(len(block) == FITTED_BYTES for block in gpu.runtime.device_blocks.values())
        assert places <= 3 + 4  # previous, fitted and motion, and the frames of one camera's past
    del states


def test_a_graph_holds_for_one_frame_size(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    with built(gpu, onnx, tmp_path) as engine:
        gpu.runtime.calls.clear()
        for index, size in enumerate((OTHER, OTHER, OTHER, OTHER, SAME, OTHER, SAME)):
            step(engine, index, [size], [None])
    assert gpu.runtime.calls.count("cudaStreamBeginCapture") == 1
    assert gpu.runtime.calls.count("cudaGraphLaunch") == 3


def test_a_frame_beyond_the_largest_is_fitted_first(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    cpu = onnxruntime_engine.load(onnx, 1)
    with built(gpu, onnx, tmp_path) as engine:
        ((ours, _, _),), ((theirs, _, _),) = (step(one, 1, [HUGE], [None]) for one in (engine, cpu))
        np.testing.assert_allclose(ours["boxes"], theirs["boxes"])
    shapes = [shape for name, shape in gpu.trt.named("IExecutionContext.set_input_shape") if name == "frame"]
    assert shapes[-1] == (1, SIDE, SIDE, 3)


def test_the_profile_reaches_from_one_pixel_to_4k(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    built(gpu, onnx, tmp_path, max_batch=2).close()
    assert gpu.trt.named("IOptimizationProfile.set_shape") == [
        ("frame", (1, 1, 1, 3), (2, 1080, 1920, 3), (2, 2160, 3840, 3)),
        ("previous", (1, 3, SIDE, SIDE), (2, 3, SIDE, SIDE), (2, 3, SIDE, SIDE)),
    ]


def test_a_model_without_motion_map(tmp_path: Path) -> None:
    path = write_frame_model(tmp_path / "still.onnx", replace(MANIFEST, motion=MotionSettings("none")))
    gpu, cpu = frame_gpu("11.4", path), onnxruntime_engine.load(path, 1)
    with built(gpu, path, tmp_path) as engine:
        ((ours, motion, _),), ((theirs, _, _),) = (step(one, 1, [SAME], [None]) for one in (engine, cpu))
        np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=1e-6)
        assert motion is None
    assert gpu.runtime.leaks == 0


def test_a_run_that_fails_names_the_engine_and_the_next_one_works(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    with built(gpu, onnx, tmp_path) as engine:
        ((_, _, state),) = step(engine, 0, [SAME], [None])
        gpu.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
        with pytest.raises(TensorRtError, match=r"frames\.engine: cudaStreamSynchronize"):
            step(engine, 1, [SAME], [state])
        gpu.runtime.fail("cudaMalloc", "cudaErrorMemoryAllocation")
        with pytest.raises(TensorRtError, match=r"frames\.engine: cudaMalloc"):
            step(engine, 2, [(200, 200)], [None])
        assert step(engine, 3, [SAME], [None])[0][1].any() == np.False_
    del state


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            replace(MANIFEST, preprocessing="outside"),
            "its inputs are frame, previous, but its manifest says image; rebuild it",
        ),
        (
            replace(MANIFEST, motion=MotionSettings("none")),
            "its inputs are frame, previous, but its manifest says frame;",
        ),
        (replace(MANIFEST, height=32), r"its previous is \(1, 3, 64, 64\), but its manifest says \(1, 3, 32, 64\)"),
    ],
)
def test_an_engine_unlike_its_manifest(
    manifest: Manifest, message: str, gpu: FakeGpu, onnx: Path, tmp_path: Path
) -> None:
    target = tmp_path / "frames.engine"
    record = engine_build.build(gpu.trt, onnx, target)
    engine_record.beside(target).write_text(engine_record.to_json(replace(record, manifest=manifest)))
    with pytest.raises(TensorRtError, match=message):
        tensorrt_engine.load(target, gpu.trt, gpu.cuda)


def test_the_network_alone_can_be_built_of_the_same_file(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "network.engine"
    record = engine_build.build(gpu.trt, onnx, target, BuildOptions(preprocessing="outside"))
    assert record.manifest == replace(MANIFEST, preprocessing="outside")
    with tensorrt_engine.load(target, gpu.trt, gpu.cuda) as engine:
        assert engine.run_frames is None
        ((ours, _, _),), ((theirs, _, _),) = (
            step(one, 1, [OTHER], [None]) for one in (engine, onnxruntime_engine.load(onnx, 1))
        )
        np.testing.assert_array_equal(ours["boxes"], theirs["boxes"])
        assert engine.sha256 == onnxruntime_engine.load(onnx, 1).sha256
