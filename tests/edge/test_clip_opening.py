"""A model that sees clips in TensorRT, over the fakes of TensorRT and CUDA: it proves the calls, not the engines."""

from pathlib import Path

import numpy as np
import pytest

from convert import build
from edge import pipeline
from edge.clip import ClipInput
from edge.clip_inference import ClipInference
from edge.config.schema import ModelConfig
from edge.engines import engine_build, engine_record
from edge.engines.cached_engines import SUFFIX
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from edge.expected_model import expected_model
from edge.inference import Engine, EngineError, LoadedEngine
from edge.manifest import PreprocessingChoice
from edge.open_model import open_model
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from tests.support.clip_gpu import REFUSAL, clip_gpu
from tests.support.clip_model import write_clip_model
from tests.support.fake_gpu import VERSIONS, FakeGpu, WithTensorRt
from tests.support.spot_model import write_spot_model
from train import open_model as training

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")

SETTINGS = PipelineSettings(minimum_score=0.0)
ALONE = r"is the engine of a clip, not of a detector|is one of two engines of a model that sees clips"
BY_HAND = [0.2, 0.2, 0.5, 0.5]  # of frames of these fifths of white: 1, 2, 3, 4; a map every second frame, of two


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_clip_model(tmp_path / "clips.onnx", ClipInput(2, every=2))
    return tmp_path / "clips.onnx"


def configured(model: Path, preprocessing: PreprocessingChoice = "auto") -> ModelConfig:
    return ModelConfig(path=model, threads=1, max_batch=2, preprocessing=preprocessing)


def opened(model: Path, preprocessing: PreprocessingChoice = "auto") -> LoadedEngine:
    return open_model(configured(model, preprocessing), model.parent / "state", lambda text: None, lambda: None)


def builds(gpu: FakeGpu) -> int:
    return len(gpu.trt.named("Builder.build_serialized_network"))


def scores(engine: Engine, cameras: int = 2) -> list[list[float]]:
    """Of each camera, its score in each frame."""
    states = [pipeline.initial(str(camera), "seed") for camera in range(cameras)]
    found = list[list[float]]()
    for index in range(4):
        image = np.full((64, 64, 3), 51 * (index + 1), np.uint8)
        given = [FrameInput(one, Frame("x", index, index / 25, index / 25, image), SETTINGS) for one in states]
        stepped = pipeline.step_batch(given, engine)
        states = [state for state, _ in stepped]
        found.append([float(result.detections.scores[0]) for _, result in stepped])
    return [list(one) for one in zip(*found, strict=True)]


@pytest.mark.parametrize("version", VERSIONS)
def test_both_engines_are_built_once_of_one_file(version: str, model: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt(gpu=clip_gpu(version, model))
    for _ in range(2):
        with opened(model) as engine:
            assert (engine.fallback, engine.preprocessor) == ("", "cpu")
            assert isinstance(engine.run_frames, ClipInference)
            assert engine.clip is not None
            assert engine.clip.largest_batch == 2
            for found in scores(engine):
                assert found == pytest.approx(BY_HAND, abs=1e-4)
    assert builds(gpu) == 2
    assert gpu.runtime.leaks == 0
    engines = [*(model.parent / "state" / "engines" / "clips").glob(f"*{SUFFIX}")]
    records = [engine_record.from_json(engine_record.beside(one).read_text()) for one in engines]
    assert sorted(record.options.part for record in records) == ["clip", "detector"]
    expected = expected_model(model, configured(model), model.parent / "state")
    assert expected.file == model
    for one in engines:  # neither runs by itself
        with pytest.raises(EngineError, match=ALONE):
            opened(one)
        with pytest.raises(EngineError, match=ALONE):
            training.open_model(one, 1)
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_where_one_cannot_be_built_onnx_runtime_runs_both(
    version: str, model: Path, with_tensorrt: WithTensorRt
) -> None:
    gpu = with_tensorrt(gpu=clip_gpu(version, model, refuses=True))
    with opened(model) as engine:
        assert REFUSAL in engine.fallback
        assert "ONNX Runtime runs the model in its place" in engine.fallback
        assert scores(engine, 1)[0] == pytest.approx(BY_HAND, abs=1e-4)
    assert gpu.runtime.leaks == 0


@pytest.mark.parametrize("preprocessing", ["cuda", "graph"])
def test_its_frames_are_prepared_by_the_cpu(
    preprocessing: PreprocessingChoice, model: Path, with_tensorrt: WithTensorRt
) -> None:
    with_tensorrt(gpu=clip_gpu(VERSIONS[0], model))
    with opened(model, preprocessing) as engine:
        assert engine.preprocessor == "cpu"
        assert (
            f"model.preprocessing is {preprocessing}, and {model} sees clips, whose frames the CPU" in engine.fallback
        )
        assert scores(engine, 1)[0] == pytest.approx(BY_HAND, abs=1e-4)


def test_no_engine_file_of_it_is_built_by_hand(model: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt(gpu=clip_gpu(VERSIONS[0], model))
    with pytest.raises(EngineBuildError, match="the daemon builds an engine of each; name the ONNX"):
        build.build(model, model.with_suffix(".engine"), BuildOptions(), lambda text: None, gpu.trt)
    told = build.dry_run(model, model.with_suffix(".engine"), BuildOptions(), "10.3")
    assert "would build fp32" in told
    assert "writes         sees clips, and has two networks" in told


def test_a_model_without_clips_has_no_such_part(model: Path, with_tensorrt: WithTensorRt) -> None:
    gpu, spot = with_tensorrt(gpu=clip_gpu(VERSIONS[0], model)), write_spot_model(model.parent / "spot.onnx")
    with pytest.raises(EngineBuildError, match=r"spot\.onnx: sees no clips; build the model itself"):
        engine_build.build(gpu.trt, spot, spot.with_suffix(".engine"), BuildOptions(part="clip"))
