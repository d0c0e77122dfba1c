"""A detector and its memory in TensorRT, over the fakes of TensorRT and CUDA: it proves the calls, not the engines."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge import pipeline
from edge.config.schema import ModelConfig
from edge.engines import engine_build, engine_record
from edge.engines.cached_engines import SUFFIX
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from edge.inference import Engine, EngineError, LoadedEngine
from edge.manifest import PreprocessingChoice
from edge.open_model import open_model
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from tests.support.fake_gpu import VERSIONS, FakeGpu, WithTensorRt
from tests.support.memory_gpu import REFUSAL, memory_gpu
from tests.support.memory_model import MemoryModel, write_memory, write_memory_model
from tests.support.spot_model import write_spot_model
from train import open_model as training

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")

SETTINGS = PipelineSettings(minimum_score=0.0)
WHITE = np.full((48, 64, 3), 255, np.uint8)


def configured(model: MemoryModel, preprocessing: PreprocessingChoice = "auto") -> ModelConfig:
    return ModelConfig(path=model.detector, threads=1, max_batch=2, preprocessing=preprocessing)


def opened(model: MemoryModel, folder: Path, preprocessing: PreprocessingChoice = "auto") -> LoadedEngine:
    return open_model(configured(model, preprocessing), folder / "state", lambda text: None, lambda: None)


def builds(gpu: FakeGpu) -> int:
    return len(gpu.trt.named("Builder.build_serialized_network"))


def scores(engine: Engine, frames: int = 9, cameras: int = 2) -> list[list[float]]:
    """Of each camera, its score in each white frame; four frames lie between two steps."""
    states = [pipeline.initial(str(camera), "seed") for camera in range(cameras)]
    found = []
    for index in range(frames):
        given = [FrameInput(one, Frame("x", index, index / 25, index / 25, WHITE), SETTINGS) for one in states]
        stepped = pipeline.step_batch(given, engine)
        states = [state for state, _ in stepped]
        found.append([float(result.detections.scores[0]) for _, result in stepped])
    return [list(one) for one in zip(*found, strict=True)]


BY_HAND = [[0.25] * 4 + [0.375] * 4 + [0.4375]] * 2


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("preprocessing", ["auto", "cuda", "cpu"])
def test_both_engines_are_built_once_and_answer_as_by_hand(
    version: str, preprocessing: PreprocessingChoice, tmp_path: Path, with_tensorrt: WithTensorRt
) -> None:
    model = write_memory_model(tmp_path, preprocessing="graph")
    gpu = with_tensorrt(gpu=memory_gpu(version, model))
    for _ in range(2):
        with opened(model, tmp_path, preprocessing) as engine:
            assert engine.fallback == ""
            assert engine.preprocessor == ("graph" if preprocessing == "auto" else preprocessing)
            assert engine.memory is not None
            assert engine.memory.runtime == f"tensorrt {gpu.trt.__version__} fp32"
            assert engine.memory.path == model.memory
            assert scores(engine) == BY_HAND
    assert builds(gpu) == 2
    assert gpu.runtime.leaks == 0
    engines = (tmp_path / "state" / "engines" / "spot").glob(f"*{SUFFIX}")
    records = [engine_record.from_json(engine_record.beside(one).read_text()) for one in engines]
    assert sorted(record.options.part for record in records) == ["detector", "memory"]


def test_a_memory_that_tensorrt_refuses_runs_in_onnx_runtime(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    """The reason stands with the engine, and no later start tries that build again."""
    model = write_memory_model(tmp_path, preprocessing="graph")
    gpu = with_tensorrt(gpu=memory_gpu("10.3", model, refuses=True))
    for _ in range(2):
        with opened(model, tmp_path) as engine:
            assert engine.runtime.startswith("tensorrt")
            assert engine.memory is not None
            assert engine.memory.runtime.startswith("onnxruntime")
            assert engine.fallback.startswith(f"{model.memory}: TensorRT {gpu.trt.__version__} refuses it")
            assert engine.fallback.endswith("ONNX Runtime runs the memory in its place, on the CPU")
            assert scores(engine) == BY_HAND
    assert REFUSAL in engine.fallback
    assert len(gpu.trt.named("OnnxParser.parse")) == 2  # the detector's and the memory's, once each
    assert gpu.runtime.leaks == 0


def absent(model: MemoryModel) -> str:
    model.memory.unlink()
    return r"memory-\w{16}\.onnx: is missing, and spot\.onnx does not run without this memory"


def foreign(model: MemoryModel) -> str:
    write_memory(model.memory, keep=0.25)
    return r"memory-\w{16}\.onnx: is not the memory of spot\.onnx"


@pytest.mark.parametrize("spoil", [absent, foreign])
def test_a_wrong_memory_is_known_before_anything_is_built(
    spoil: Callable[[MemoryModel], str], tmp_path: Path, with_tensorrt: WithTensorRt
) -> None:
    model = write_memory_model(tmp_path, preprocessing="graph")
    gpu = with_tensorrt(gpu=memory_gpu("10.3", model))
    with pytest.raises(EngineError, match=spoil(model)):
        opened(model, tmp_path)
    assert builds(gpu) == 0
    assert gpu.runtime.leaks == 0


def test_an_engine_file_finds_its_memory_beside_it(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    model = write_memory_model(tmp_path, preprocessing="graph")
    gpu = with_tensorrt(gpu=memory_gpu("10.3", model))
    engine_file = tmp_path / "spot.engine"
    engine_build.build(gpu.trt, model.detector, engine_file, BuildOptions(max_batch=2))
    with open_model(ModelConfig(path=engine_file), tmp_path / "state", lambda text: None, lambda: None) as engine:
        assert scores(engine) == BY_HAND
    with training.open_model(engine_file, 1) as engine:
        assert scores(engine) == BY_HAND
    model.memory.unlink()
    with pytest.raises(EngineError, match=r"memory-\w{16}\.onnx: is missing, and spot\.engine does not run without"):
        training.open_model(engine_file, 1)
    assert gpu.runtime.leaks == 0


def test_the_engine_of_a_memory_is_no_model(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    model = write_memory_model(tmp_path)
    gpu = with_tensorrt(gpu=memory_gpu("10.3", model))
    engine_build.build(gpu.trt, model.detector, tmp_path / "mine.engine", BuildOptions(part="memory"))
    with pytest.raises(
        EngineError, match=r"mine\.engine: is the engine of a memory, not of a detector; name the other"
    ):
        training.open_model(tmp_path / "mine.engine", 1)
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize("preprocessing", ["auto", "graph", "cpu"])
def test_evaluation_opens_both_files(preprocessing: PreprocessingChoice, tmp_path: Path) -> None:
    model = write_memory_model(tmp_path, preprocessing="graph")
    with training.open_model(model.detector, 1, preprocessing) as engine:
        assert scores(engine) == BY_HAND


def test_the_memory_of_a_model_without(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt("10.3")
    onnx = write_spot_model(tmp_path / "spot.onnx")
    with pytest.raises(EngineBuildError, match=r"spot\.onnx: has no memory; build the model itself"):
        engine_build.build(gpu.trt, onnx, tmp_path / "spot.engine", BuildOptions(part="memory"))
