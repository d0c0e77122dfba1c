"""What will run is known without opening it: as `open_model` then does, over the fakes of TensorRT and CUDA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.commands import models as models_command
from edge.commands.models import models
from edge.config.schema import ModelConfig
from edge.expected_model import expected_model
from edge.inference import EngineError
from edge.open_model import ENGINE_CACHE, open_model
from tests.support.fake_gpu import FakeGpu, WithTensorRt
from tests.support.precision_files import refuse_first, with_precisions, write
from tests.support.tiny_model import write_tiny_model

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")
Machine = Callable[[WithTensorRt], FakeGpu | None]
NAME = "tiny.onnx"


def model_of(folder: Path, **settings: Any) -> ModelConfig:
    return ModelConfig(path=folder / NAME, threads=1, **settings)


def open_it(folder: Path, model: ModelConfig) -> tuple[str, str, str]:
    """The runtime, the precision, and why not what was asked for; "", "" and the error where nothing opens."""
    try:
        with open_model(model, folder / "state", lambda text: None, lambda: None) as engine:
            return engine.runtime.split()[0], engine.manifest.precision, engine.fallback
    except EngineError as error:
        return "", "", str(error)


def refusing(count: int) -> Machine:
    def machine(with_tensorrt: WithTensorRt) -> FakeGpu:
        refuse_first(gpu := with_tensorrt(), count)
        return gpu

    return machine


def no_gpu_answers(with_tensorrt: WithTensorRt) -> FakeGpu:
    gpu = with_tensorrt()
    gpu.runtime.fail("cudaDeviceGetAttribute", "cudaErrorNoDevice")
    return gpu


MACHINES: dict[str, Machine] = {
    "all are built": lambda install: install(),
    "the first is refused": refusing(1),
    "two are refused": refusing(2),
    "all are refused": refusing(99),
    "no TensorRT": lambda install: None,
    "no GPU answers": no_gpu_answers,
}


@pytest.mark.parametrize("runtime", ["auto", "tensorrt", "onnxruntime"])
@pytest.mark.parametrize("precision", ["auto", "fp16"])
@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_expected_after_a_start_is_what_then_runs(
    machine: str, precision: str, runtime: str, tmp_path: Path, with_tensorrt: WithTensorRt
) -> None:
    gpu = MACHINES[machine](with_tensorrt)
    with_precisions(tmp_path)
    model = model_of(tmp_path, precision=precision, runtime=runtime)
    open_it(tmp_path, model)  # builds, or learns what cannot be built
    expected = expected_model(tmp_path / NAME, model, tmp_path / "state")
    kind, runs, fallback = open_it(tmp_path, model)
    assert (expected.precision, expected.file is None) == (runs, kind == "")
    assert expected.reason.startswith("TensorRT 10") == (kind == "tensorrt" and not fallback)
    if fallback and gpu is not None:
        assert fallback in expected.reason
    assert gpu is None or gpu.runtime.leaks == 0


def test_before_the_first_start_the_first_choice_is_expected(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    with_tensorrt()
    with_precisions(tmp_path)
    expected = expected_model(tmp_path / NAME, model_of(tmp_path), tmp_path / "state")
    assert expected.file == tmp_path / "tiny-int8-fp16.onnx"
    assert expected.reason == "TensorRT 10.3.0, GPU of compute capability 8.7; model.precision is auto"
    assert not (tmp_path / "state").exists()


def test_onnx_runtime_is_expected_where_tensorrt_takes_none_of_the_files(
    tmp_path: Path, with_tensorrt: WithTensorRt
) -> None:
    with_tensorrt()
    write(tmp_path / NAME, "int8", {"target": "cpu"})
    expected = expected_model(tmp_path / NAME, model_of(tmp_path), tmp_path / "state")
    assert (expected.file, expected.precision) == (tmp_path / NAME, "int8")
    assert expected.reason.startswith("TensorRT can build neither ")
    assert "; ONNX Runtime runs the model in its place; " in expected.reason
    alone = expected_model(tmp_path / NAME, model_of(tmp_path, runtime="tensorrt"), tmp_path / "state")
    assert (alone.file, alone.precision) == (None, "")
    assert alone.reason.startswith("model.runtime is tensorrt, but TensorRT can build neither ")


def test_a_previous_engine_in_the_place_of_one_that_failed_is_expected(
    tmp_path: Path, with_tensorrt: WithTensorRt
) -> None:
    gpu = with_tensorrt()
    with_precisions(tmp_path)
    open_it(tmp_path, model_of(tmp_path))
    refuse_first(gpu, 99)
    larger = model_of(tmp_path, max_batch=3)
    told = [open_it(tmp_path, larger) for _ in range(2)]
    assert told[0] == told[1]
    assert told[0][:2] == ("tensorrt", "int8")
    expected = expected_model(tmp_path / NAME, larger, tmp_path / "state")
    assert (expected.precision, expected.reason) == told[0][1:]
    assert "; using the previous engine " in expected.reason


def test_a_previous_engine_of_another_machine_is_not_expected(tmp_path: Path, with_tensorrt: WithTensorRt) -> None:
    write_tiny_model(tmp_path / NAME)
    with_tensorrt()
    open_it(tmp_path, model_of(tmp_path))
    with_tensorrt("11.4", failing={"Builder.build_serialized_network": "out of luck"})
    open_it(tmp_path, model_of(tmp_path))
    expected = expected_model(tmp_path / NAME, model_of(tmp_path), tmp_path / "state")
    assert "out of luck" in expected.reason
    assert "ONNX Runtime runs the model in its place" in expected.reason


def test_models_marks_the_file_that_runs_in_place_of_one_that_failed(
    tmp_path: Path, with_tensorrt: WithTensorRt, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = with_tensorrt()
    with_precisions(tmp_path)
    (tmp_path / "config.toml").write_text(
        f'[model]\npath = "{NAME}"\nthreads = 1\n[outbox]\ndirectory = "state"\n[cameras.door]\nsource = "x"\n'
    )
    marked = []
    for refused in (0, 1, 99):
        refuse_first(gpu, refused)
        if refused:
            for engine in (tmp_path / "state" / ENGINE_CACHE).rglob("*.engine"):
                engine.unlink()
            open_it(tmp_path, model_of(tmp_path))
        assert models(tmp_path / "config.toml") == 0
        lines = capsys.readouterr().out.splitlines()
        marked.append([line.replace(f"{tmp_path}/", "").partition(":")[0] for line in lines if line.startswith("* ")])
    assert marked == [
        ["* tiny-int8-fp16.onnx", "* runs here, in INT8"],
        ["* tiny-fp16.onnx", "* runs here, in FP16"],
        ["* tiny.onnx", "* runs here, in FP32"],
    ]


def test_models_looks_at_the_builds_of_the_installed_service(
    tmp_path: Path, with_tensorrt: WithTensorRt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_first(with_tensorrt(), 1)
    with_precisions(tmp_path)
    open_it(tmp_path, model_of(tmp_path))
    installed = tmp_path / "config.toml"
    installed.write_text(f'[model]\npath = "{NAME}"\nthreads = 1\n[cameras.door]\nsource = "x"\n')
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "of the user"))
    said = []
    for path in (tmp_path / "another.toml", installed):
        monkeypatch.setattr(models_command, "INSTALLED", path)
        monkeypatch.setattr(models_command, "SERVICE_STATE", str(tmp_path / "state"))
        assert models(installed) == 0
        said.append("* runs here, in FP16: " in capsys.readouterr().out)
    assert said == [False, True]
