"""Engine files, good and bad, through the fakes of TensorRT and CUDA."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.engines import cuda_runtime, engine_record, tensorrt_engine
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, Platform
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import EngineError
from edge.manifest import OUTPUTS, Manifest
from edge.motion_map import MotionSettings
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_gpu import VERSIONS, FakeGpu, fake_gpu, serialized_engine
from tests.support.tiny_model import BOX, LABELS, MANIFEST, SIZE


def write_engine(path: Path, gpu: FakeGpu, manifest: Manifest = MANIFEST, plan: bytes | None = None) -> Path:
    """An engine as the builder leaves it, with its record."""
    plan = serialized_engine(gpu.trt) if plan is None else plan
    platform = Platform(gpu.trt.__version__, "Orin", "8.7", "36.4.3", "12.6")
    record = EngineRecord(manifest, "fp16", platform, BuildOptions(), "0" * 64, hashlib.sha256(plan).hexdigest())
    path.write_bytes(plan)
    engine_record.beside(path).write_text(engine_record.to_json(record))
    return path


def refusal(path: Path, gpu: FakeGpu) -> str:
    """What `load` says; one line that begins with the file, and nothing stays on the GPU."""
    with pytest.raises(TensorRtError) as caught:
        tensorrt_engine.load(path, gpu.trt, gpu.cuda)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    assert gpu.runtime.leaks == 0
    return message


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_engine_answers(version: str, tmp_path: Path) -> None:
    gpu = fake_gpu(version)
    loaded = tensorrt_engine.load(write_engine(tmp_path / "tiny.engine", gpu), gpu.trt, gpu.cuda)
    with loaded as engine:
        assert gpu.runtime.calls.count("cudaStreamSynchronize") == 1  # it has answered once
        assert engine.manifest == MANIFEST
        assert engine.sha256 == "0" * 64  # of the ONNX: the same model whatever runs it
        assert engine.runtime == f"tensorrt {gpu.trt.__version__} fp16"
        answer = engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})
        assert tuple(answer) == OUTPUTS
        assert answer["boxes"][0, 0].tolist() == list(BOX)
        assert answer["class_scores"][0, 0, LABELS.index("Shine")] == pytest.approx(1 / (1 + np.exp(-4)))
    assert gpu.runtime.leaks == 0


def test_infer_names_the_file(tmp_path: Path) -> None:
    gpu = fake_gpu("11.4")
    path = write_engine(tmp_path / "tiny.engine", gpu)
    with tensorrt_engine.load(path, gpu.trt, gpu.cuda) as engine:
        with pytest.raises(TensorRtError, match=r"tiny\.engine: it takes 1 to 4 images"):
            engine.infer({"image": np.ones((9, 3, SIZE, SIZE), np.float32)})
        gpu.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
        with pytest.raises(EngineError, match=r"tiny\.engine: cudaStreamSynchronize: cudaErrorIllegalAddress"):
            engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_of_another_version_never_reaches_tensorrt(version: str, tmp_path: Path) -> None:
    path = write_engine(tmp_path / "old.engine", fake_gpu("10.12"))
    gpu = fake_gpu(version)
    assert f"was built by TensorRT 10.12.0.0, this device has {gpu.trt.__version__}; rebuild it" in refusal(path, gpu)
    assert gpu.trt.named("Runtime.deserialize_cuda_engine") == []
    assert gpu.runtime.calls == []


@pytest.mark.parametrize(
    "content", [b"", b"ftrt", b"not an engine\n" * 9, b"vtrt" + bytes(60), b"\x08\x08" + bytes(99)]
)
def test_what_is_no_engine(content: bytes, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    assert "rebuild it" in refusal(write_engine(tmp_path / "x.engine", gpu, plan=content), gpu)
    assert gpu.trt.named("Runtime.deserialize_cuda_engine") == []


def test_a_damaged_engine_anywhere(tmp_path: Path) -> None:
    """Whatever byte is missing or changed: it does not reach TensorRT."""
    gpu = fake_gpu("10.3")
    path = write_engine(tmp_path / "tiny.engine", gpu)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(content)
            assert "rebuild it" in refusal(path, gpu)
    assert gpu.trt.named("Runtime.deserialize_cuda_engine") == []


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory); rebuild it" in refusal(tmp_path / "no", fake_gpu("10.3"))
    assert "cannot be read (Is a directory)" in refusal(tmp_path, fake_gpu("10.3"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda record: record.unlink(), "its record tiny.engine.json cannot be read (No such file"),
        (lambda record: record.write_bytes(b""), "is not JSON"),
        (lambda record: record.write_bytes(b"\xff\xfe"), "can't decode byte"),
        (lambda record: record.write_text("[1]"), "is not of version 1"),
        (lambda record: record.write_text(record.read_text().replace("plan_", "plane_")), "plan_sha256 is missing"),
    ],
)
def test_a_bad_record(spoil: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    path = write_engine(tmp_path / "tiny.engine", gpu)
    spoil(engine_record.beside(path))
    assert message in refusal(path, gpu)


def test_the_record_of_another_engine(tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    path = write_engine(tmp_path / "tiny.engine", gpu)
    path.write_bytes(serialized_engine(gpu.trt, largest=8))
    assert "is damaged, or not the engine that tiny.engine.json is about; rebuild it" in refusal(path, gpu)


def test_another_gpu(tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    path = write_engine(tmp_path / "tiny.engine", gpu)
    gpu.runtime.name, gpu.runtime.compute_capability = b"Thor", (11, 0)
    assert "was built for Orin (8.7), this device has Thor (11.0); rebuild it" in refusal(path, gpu)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            replace(MANIFEST, motion=MotionSettings("ssim")),
            "its image is (1, 3, 64, 64), but its manifest says (1, 6, ",
        ),
        (replace(MANIFEST, labels=("Shine",)), "its class_scores is (1, 1, 2), but its manifest says (1, 1, 1)"),
        (replace(MANIFEST, top_k=2), "its boxes is (1, 1, 4), but its manifest says (1, 2, 4)"),
    ],
)
def test_an_engine_unlike_its_manifest(manifest: Manifest, message: str, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    assert message in refusal(write_engine(tmp_path / "x.engine", gpu, manifest), gpu)


@pytest.mark.parametrize(
    "call",
    [
        "Runtime",
        "Runtime.deserialize_cuda_engine",
        "ICudaEngine.create_execution_context",
        "IExecutionContext.execute_async_v3",
    ],
)
def test_what_tensorrt_refuses(call: str, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3", failing={call: "out of luck"})
    assert "(TensorRT: out of luck)" in refusal(write_engine(tmp_path / "x.engine", gpu), gpu)


@pytest.mark.parametrize("call", ["cudaDeviceGetAttribute", "cudaMalloc", "cudaMemcpyAsync", "cudaStreamSynchronize"])
def test_what_cuda_refuses(call: str, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    gpu.runtime.fail(call, "cudaErrorMemoryAllocation")
    assert f"{call}: cudaErrorMemoryAllocation; end other programs" in refusal(
        write_engine(tmp_path / "x.engine", gpu), gpu
    )


def test_an_engine_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "some.file"
    for content, answer in ((b"ftrt1234", True), (b"vtrt1234", True), (b"\x08\x08", False), (b"", False)):
        path.write_bytes(content)
        assert tensorrt_engine.is_engine_file(path) is answer
    assert not tensorrt_engine.is_engine_file(tmp_path)


def test_the_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    trt, cuda = object(), Cuda(FakeCuda())
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setattr(cuda_runtime, "installed", lambda: cuda)
    assert tensorrt_engine.bindings() == (trt, cuda)


def test_no_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(TensorRtError, match=r"bindings cannot be loaded \(.*\); install python3-libnvinfer"):
        tensorrt_engine.bindings()


def test_bindings_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Cuda:
        raise CudaError("CUDA finds no GPU; buy one")

    monkeypatch.setitem(sys.modules, "tensorrt", object())
    monkeypatch.setattr(cuda_runtime, "installed", fail)
    with pytest.raises(TensorRtError, match="CUDA finds no GPU; buy one"):
        tensorrt_engine.bindings()
