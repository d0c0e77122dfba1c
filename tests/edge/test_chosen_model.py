"""Which of a model's files is opened, over the fakes of TensorRT and CUDA: built, passed over, and said so."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge import open_model as open_model_module
from edge.config.schema import ModelConfig
from edge.engines import cuda_runtime, motion_cuda
from edge.inference import EngineError, LoadedEngine
from edge.open_model import open_model
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.tiny_model import MANIFEST, write_tiny_model

Settings = Mapping[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "tiny.onnx")
    return tmp_path


@pytest.fixture(autouse=True)
def no_nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PC without a GPU, whatever runs the tests."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(open_model_module, "NVIDIA_SIGNS", ())


@pytest.fixture
def with_tensorrt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeGpu]:
    """Makes the machine one with that TensorRT, a GPU, and an OpenCV that is built with CUDA."""

    def install(version: str = "10.3", **behaviour: Any) -> FakeGpu:
        gpu = fake_gpu(version, **behaviour)
        monkeypatch.setitem(sys.modules, "tensorrt", gpu.trt)
        monkeypatch.setattr(cuda_runtime, "installed", lambda: gpu.cuda)
        monkeypatch.setattr(motion_cuda, "usable", lambda: FakeCv2Cuda(gpu.runtime))
        return gpu

    return install


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


def with_precisions(folder: Path) -> None:
    """The model in three files of the same weights."""
    write(folder / "tiny.onnx", "fp32")
    write(folder / "tiny-fp16.onnx", "fp16")
    write(folder / "tiny-int8-fp16.onnx", "int8", {"target": "tensorrt", "rest": "fp16"})


def write(path: Path, precision: str, quantisation: Settings | None = None) -> None:
    noted = {"quantisation": quantisation} if quantisation else {}
    write_tiny_model(path, replace(MANIFEST, precision=precision, training={"weights": "a1", **noted}))


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
    with_tensorrt: Callable[..., FakeGpu],
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
    folder: Path, with_tensorrt: Callable[..., FakeGpu], caplog: pytest.LogCaptureFixture
) -> None:
    gpu = with_tensorrt()
    with_precisions(folder)
    build = gpu.trt.Builder.build_serialized_network
    refused: list[str] = []

    def refuse_the_first(builder: Any, network: Any, config: Any) -> Any:
        refused.append("int8")
        return build(builder, network, config) if len(refused) > 1 else None

    gpu.trt.Builder.build_serialized_network = refuse_the_first
    with opened(folder) as engine:
        assert engine.runtime.endswith(" fp16")
        assert "tiny-int8-fp16.onnx: TensorRT 10.3.0 did not build it" in engine.fallback
        assert engine.fallback.endswith(
            'tiny-fp16.onnx runs in its place, fp16; set model.precision = "fp16" if that is to stay'
        )
        assert engine.fallback in caplog.text
    assert gpu.runtime.leaks == 0


def test_where_no_precision_is_built_the_first_error_is_told(
    folder: Path, with_tensorrt: Callable[..., FakeGpu]
) -> None:
    with_tensorrt(failing={"Builder.build_serialized_network": "out of luck"})
    with_precisions(folder)
    assert refusal(folder).startswith(f"{folder / 'tiny-int8-fp16.onnx'}: ")


@pytest.mark.parametrize(("runtime", "runs"), [("auto", True), ("tensorrt", False)])
def test_a_file_for_cpus_alone_is_left_to_onnx_runtime(
    runtime: str, runs: bool, folder: Path, with_tensorrt: Callable[..., FakeGpu], caplog: pytest.LogCaptureFixture
) -> None:
    with_tensorrt()
    write(folder / "tiny.onnx", "int8", {"target": "cpu"})
    if not runs:
        assert "is quantised for CPUs" in refusal(folder, runtime=runtime)
        return
    with opened(folder) as engine:
        assert engine.runtime.startswith("onnxruntime")
        assert engine.fallback.startswith("ONNX Runtime runs the model on the CPU, for TensorRT can build neither ")
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
