"""Which of a model's files is opened, over the fakes of TensorRT and CUDA: built, passed over, and said so."""

import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from edge import open_model as open_model_module
from edge.chosen_model import ExpectedEngine, first_engine
from edge.config.schema import ModelConfig
from edge.engines.engine_cache import EngineCache
from edge.inference import EngineError, LoadedEngine
from edge.open_model import open_model
from tests.support.fake_gpu import WithTensorRt
from tests.support.precision_files import refuse_first, with_precisions, write
from tests.support.tiny_model import write_tiny_model

pytest_plugins = ("tests.support.gpu_machine",)
pytestmark = pytest.mark.usefixtures("no_nvidia")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "tiny.onnx")
    return tmp_path


def opened(folder: Path, **settings: Any) -> LoadedEngine:
    """As the daemon opens it, without announcements."""
    model = ModelConfig(path=folder / "tiny.onnx", threads=1, **settings)
    return open_model(model, folder / "state", lambda text: None, lambda: None)


def refusal(folder: Path, **settings: Any) -> str:
    with pytest.raises(EngineError) as caught:
        opened(folder, **settings)
    return str(caught.value)


def built(folder: Path) -> list[str]:
    """The models of which there are engines."""
    return sorted(path.parent.name for path in folder.rglob("*.engine"))


@pytest.mark.parametrize(
    ("version", "capability", "wanted", "engine", "result"),
    [
        ("10.3", (8, 7), "auto", "tiny-int8-fp16", "int8"),
        ("11.4", (11, 0), "auto", "tiny-int8-fp16", "int8"),
        ("10.3", (6, 0), "auto", "tiny-fp16", "fp16"),
        ("10.3", (8, 7), "fp16", "tiny-fp16", "fp16"),
        ("10.3", (8, 7), "fp32", "tiny", "fp32"),
        ("8.6", (8, 7), "auto", "tiny", "fp16"),  # no INT8 file for 8.6, which makes FP16 of FP32
    ],
)
def test_the_file_is_chosen_for_the_gpu(
    version: str,
    capability: tuple[int, int],
    wanted: str,
    engine: str,
    result: str,
    folder: Path,
    with_tensorrt: WithTensorRt,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpu = with_tensorrt(version)
    gpu.runtime.compute_capability = capability
    with_precisions(folder)
    for _ in range(2):
        with opened(folder, precision=wanted) as running:
            assert running.runtime.endswith(f" {result}")
            assert running.fallback == ""
    assert built(folder) == [engine]
    assert len(gpu.trt.named("Builder.build_serialized_network")) == 1
    assert caplog.text == ""


def test_a_precision_that_tensorrt_does_not_build_gives_way_to_the_next(
    folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = with_tensorrt()
    with_precisions(folder)
    refuse_first(gpu, 1)
    with opened(folder) as engine:
        assert engine.runtime.endswith(" fp16")
        assert "tiny-int8-fp16.onnx: TensorRT 10.3.0 did not build it" in engine.fallback
        assert engine.fallback.endswith(
            'tiny-fp16.onnx runs in its place, fp16; set model.precision = "fp16" to keep that'
        )
        assert engine.fallback in caplog.text
    assert gpu.runtime.leaks == 0


def test_what_failed_is_passed_over_at_the_next_start(folder: Path, with_tensorrt: WithTensorRt) -> None:
    gpu = with_tensorrt()
    with_precisions(folder)
    refuse_first(gpu, 1)
    notices = []
    for _ in range(2):
        with opened(folder) as engine:
            assert engine.runtime.endswith(" fp16")
            notices.append(engine.fallback)
    assert notices[0] == notices[1]
    (note,) = folder.rglob("*.failed")
    assert len(list(folder.rglob("*.log"))) == 2  # what TensorRT said of the one that failed is not lost
    assert f"or {note} is deleted; tiny-fp16.onnx runs in its place" in notices[0]
    assert len(gpu.trt.named("Builder.build_serialized_network")) == 1  # that of the one in its place
    note.unlink()
    with opened(folder) as engine:
        assert engine.runtime.endswith(" int8")
        assert engine.fallback == ""


@pytest.mark.parametrize("change", ["model", "tensorrt", "driver"])
def test_what_failed_is_tried_again_when_something_has_changed(
    change: str, folder: Path, with_tensorrt: WithTensorRt
) -> None:
    gpu = with_tensorrt()
    with_precisions(folder)
    refuse_first(gpu, 1)
    opened(folder).close()
    if change == "model":
        write(folder / "tiny-int8-fp16.onnx", "int8", {"target": "tensorrt", "rest": "fp16", "method": "other"})
    gpu = with_tensorrt("10.13" if change == "tensorrt" else "10.3")
    if change == "driver":
        gpu.runtime.driver = 13000
    with opened(folder) as engine:
        assert engine.runtime.endswith(" int8")
        assert engine.fallback == ""


def test_the_engine_that_will_run_is_known_before_it_is_opened(folder: Path, with_tensorrt: WithTensorRt) -> None:
    """`doctor` asks so whether one must be built; what failed will not be."""
    gpu = with_tensorrt()
    with_precisions(folder)
    engines = EngineCache(folder / "state" / "engines", gpu.trt, gpu.cuda)
    model = ModelConfig(path=folder / "tiny.onnx")

    def first() -> ExpectedEngine:
        return first_engine(engines, folder / "tiny.onnx", model)

    found = first()
    assert (found.file, found.precision) == (folder / "tiny-int8-fp16.onnx", "int8")
    assert (found.place.exists(), found.notice) == (False, "")
    refuse_first(gpu, 1)
    with opened(folder) as engine:
        found = first()
        assert (found.file, found.precision) == (folder / "tiny-fp16.onnx", "fp16")
        assert found.place.exists()
        assert found.notice == engine.fallback
    found.place.unlink()
    refuse_first(gpu, 100)
    with opened(folder) as engine, pytest.raises(EngineError) as caught:
        first()
    assert str(caught.value) in engine.fallback


def test_where_no_precision_is_built_the_first_error_is_told(folder: Path, with_tensorrt: WithTensorRt) -> None:
    with_tensorrt(failing={"Builder.build_serialized_network": "out of luck"})
    with_precisions(folder)
    assert refusal(folder, runtime="tensorrt").startswith(f"{folder / 'tiny-int8-fp16.onnx'}: ")
    with opened(folder) as engine:
        assert engine.fallback.startswith(f"{folder / 'tiny-int8-fp16.onnx'}: ")
        assert engine.manifest.precision == "fp32"


@pytest.mark.parametrize(("runtime", "runs"), [("auto", True), ("tensorrt", False)])
def test_a_file_for_cpus_alone_is_left_to_onnx_runtime(
    runtime: str, runs: bool, folder: Path, with_tensorrt: WithTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    with_tensorrt()
    write(folder / "tiny.onnx", "int8", {"target": "cpu"})
    if not runs:
        assert "is quantised for CPUs" in refusal(folder, runtime=runtime)
        return
    with opened(folder) as engine:
        assert engine.runtime.startswith("onnxruntime")
        assert engine.fallback.startswith("TensorRT can build neither ")
        assert engine.fallback in caplog.text


def test_the_fallback_to_the_cpu_is_kept_for_health_and_telemetry(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "nvidia0").touch()
    for signs in ((), (folder / "nvidia0",)):
        monkeypatch.setattr(open_model_module, "NVIDIA_SIGNS", signs)
        with opened(folder) as engine:
            assert engine.fallback.startswith("ONNX Runtime runs the model, without TensorRT: ") == bool(signs)


def test_cpus_run_the_file_for_them_where_that_is_requested(folder: Path) -> None:
    with_precisions(folder)
    write(folder / "tiny-int8-cpu.onnx", "int8", {"target": "cpu"})
    with opened(folder, precision="int8") as engine:
        assert engine.manifest.training["quantisation"] == {"target": "cpu"}
    with opened(folder) as engine:
        assert engine.manifest.precision == "fp32"


def test_a_file_that_onnx_runtime_does_not_load_gives_way_too(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its manifest can be read, its graph cannot."""
    with_precisions(folder)
    chosen = folder / "tiny-fp16.onnx"
    broken = onnx.load(chosen)
    next(node for node in broken.graph.node if node.input).input[0] = "nowhere"
    onnx.save(broken, chosen)
    with opened(folder, runtime="onnxruntime", precision="fp16") as engine:
        assert engine.manifest.precision == "fp32"
    assert "cannot load it" in engine.fallback
    assert engine.fallback.endswith('tiny.onnx runs in its place, fp32; set model.precision = "fp32" to keep that')
    assert engine.fallback in caplog.text


def test_where_onnx_runtime_loads_no_file_the_first_ones_error_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_precisions(folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "onnxruntime is not installed" in refusal(folder, runtime="onnxruntime", precision="fp16")
