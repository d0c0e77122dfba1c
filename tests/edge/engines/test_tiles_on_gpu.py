"""Tiles over the fakes of TensorRT, CUDA and cv2.cuda: the pipeline finds what it finds on the CPU, tile by tile."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import pipeline
from edge.detector import Detections
from edge.engines import engine_build, onnxruntime_engine, tensorrt_engine
from edge.engines.inference_cuda import TOLERANCE, with_cuda_preprocessing
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_runner import Runner
from edge.inference import Engine, LoadedEngine
from edge.motion_map import MotionSettings
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from edge.tiles import Rectangle, Tiling
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.fake_gpu import fake_gpu, serialized_engine
from tests.support.fake_tensorrt import Network
from tests.support.frame_gpu import frame_gpu
from tests.support.frame_model import write_frame_model
from tests.support.spot_model import spot
from tests.support.tiny_model import MANIFEST as TINY
from tests.support.tiny_model import SIZE

CAMERAS: Mapping[tuple[int, int], Tiling] = {  # (width, height) of the frames, odd ones too, and where to look
    (97, 61): Tiling(columns=2, rows=2),
    (160, 120): Tiling((0.25, 0.0, 0.75, 1.0), 3, 1, 0.5),
    (64, 64): Tiling(),
}
TILES = sum(tiling.count for tiling in CAMERAS.values())
FRAMES = 5


@dataclass(frozen=True, eq=False)
class Found:
    detections: Detections
    maps: Mapping[Rectangle, NDArray[np.float32]]  # of the last call's tiles


def picture(size: tuple[int, int], index: int) -> NDArray[np.uint8]:
    """Noise, and a spot that walks over the seams."""
    noise = np.random.default_rng(index).integers(0, 40, (size[1], size[0], 3), dtype=np.uint8)
    return np.maximum(noise, spot(3 + 11 * index, size))


def found_by(engine: Engine) -> list[Found]:
    """What all cameras' frames give, each frame of all cameras in one step."""
    states = [pipeline.initial(str(size), "seed") for size in CAMERAS]
    found: list[Found] = []
    for index in range(FRAMES):
        time = index / engine.manifest.rate
        inputs = [
            FrameInput(
                state,
                Frame(str(size), index, time, time, picture(size, index)),
                PipelineSettings(minimum_score=0.01, tiling=tiling),
            )
            for state, (size, tiling) in zip(states, CAMERAS.items(), strict=True)
        ]
        stepped = pipeline.step_batch(inputs, engine)
        states = [state for state, _ in stepped]
        found += [
            Found(one.detections, {seen.tile: seen.motion_map.copy() for seen in one.motion()}) for _, one in stepped
        ]
    return found


def hold_equal(ours: Sequence[Found], theirs: Sequence[Found], tolerance: float) -> None:
    """`theirs` has the motion maps of the same tiles, or of all."""
    assert any(len(one.detections.boxes) for one in theirs)
    for one, other in zip(ours, theirs, strict=True):
        for name in ("boxes", "scores", "labels", "class_scores"):
            np.testing.assert_allclose(
                getattr(one.detections, name), getattr(other.detections, name), atol=tolerance, err_msg=name
            )
        for tile, motion_map in one.maps.items():
            np.testing.assert_allclose(motion_map, other.maps[tile], atol=tolerance)


def in_tensorrt(owned: ExitStack, largest: int) -> LoadedEngine:
    """The tiny network, whose scores tell how bright a tile and its motion map are."""
    gpu = fake_gpu("10.3", Network(inputs={"image": ((-1, 6, SIZE, SIZE), "FLOAT")}))
    runner = owned.enter_context(Runner(gpu.trt, gpu.cuda, serialized_engine(gpu.trt, 1, largest)))
    engine = Engine(runner.infer, replace(TINY, motion=MotionSettings("ssim")), "0" * 64, "fake", largest)
    return with_cuda_preprocessing(LoadedEngine(engine, runner, Path("tiny.engine")), FakeCv2Cuda(gpu.runtime))


@pytest.mark.parametrize("largest", [1, 3, TILES, 2 * TILES])
def test_cv2_cuda_fits_and_compares_tiles_as_the_cpu_does(largest: int) -> None:
    with ExitStack() as owned:
        engine = in_tensorrt(owned, largest).engine
        assert engine.preprocessor == "cuda"
        on_cpu = replace(engine, run_frames=None)
        hold_equal(ours := found_by(engine), found_by(on_cpu), TOLERANCE)
    whole = [len(one.maps) == tiling.count for one, tiling in zip(ours, FRAMES * list(CAMERAS.values()), strict=True)]
    assert all(whole) == (largest >= TILES)


@pytest.mark.parametrize("largest", [1, 3, TILES])
@pytest.mark.parametrize("version", ["8.6", "10.3", "11.4"])
def test_the_models_own_graph_takes_tiles_as_the_cpu_does(version: str, largest: int, tmp_path: Path) -> None:
    """In TensorRT and in ONNX Runtime; tiles of several sizes in one batch are fitted before."""
    model = write_frame_model(tmp_path / "frames.onnx")
    gpu = frame_gpu(version, model)
    engine_build.build(gpu.trt, model, tmp_path / "frames.engine", BuildOptions(max_batch=largest))
    in_onnxruntime: Any = replace(onnxruntime_engine.load(model, 1, preprocessing="graph"), largest_batch=largest)
    with tensorrt_engine.load(tmp_path / "frames.engine", gpu.trt, gpu.cuda) as engine:
        assert engine.preprocessor == "graph"
        hold_equal(found_by(engine), found_by(in_onnxruntime), 1e-5)
    assert gpu.runtime.leaks == 0


def test_a_tile_alone_goes_up(tmp_path: Path) -> None:
    """Of a frame of which the network sees a region, nothing else is copied to the GPU."""
    model = write_frame_model(tmp_path / "frames.onnx")
    gpu = frame_gpu("10.3", model)
    engine_build.build(gpu.trt, model, tmp_path / "frames.engine", BuildOptions(max_batch=2))
    with tensorrt_engine.load(tmp_path / "frames.engine", gpu.trt, gpu.cuda) as engine:
        gpu.runtime.copied.clear()
        settings = PipelineSettings(tiling=Tiling((0.0, 0.0, 0.5, 1.0), 1, 2, 0.0))
        frame = Frame("door", 0, 0.0, 0.0, picture((160, 120), 0))
        pipeline.step(pipeline.initial("door", "seed"), frame, engine, settings)
        assert gpu.runtime.copied[0] == 2 * 80 * 60 * 3
