"""The last step of the whole command, over the fakes: an engine that passes, one that does not, and none at all."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.calibration import FramePair
from convert.check import CheckData
from convert.conversion_engine import build_engine
from convert.gate import Gate
from edge.engines import cuda_runtime, engine_record
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_errors import TensorRtError
from tests.support import fake_device
from tests.support.fake_gpu import FakeGpu
from tests.support.full_disk import full_disk
from tests.support.spot_model import SIDE, write_spot_model, write_spot_video

OPTIONS = BuildOptions(max_batch=2)  # so the table of latencies has two rows
FRAMES = (FramePair(np.zeros((SIDE, SIDE, 3), np.uint8)),)


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return write_spot_model(tmp_path / "spot.onnx")


@pytest.fixture
def gpu(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    return fake_device.use(fake_device.gpu_of(onnx), monkeypatch)


def gate(exact: Path, messages: list[str], material: CheckData | None = None) -> Gate:
    return Gate(exact, material, 1.0, messages.append)


def test_an_engine_is_built_and_compared(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    video, target, messages = write_spot_video(tmp_path / "video.avi"), tmp_path / "spot.engine", list[str]()
    assert build_engine(onnx, target, OPTIONS, gate(onnx, messages, CheckData(FRAMES, (video,)))) == target
    assert engine_record.from_json(engine_record.beside(target).read_text()).options.max_batch == 2
    assert "1 events begin: 0 missed, 0 extra" in messages[-1]
    assert "    2  spot.engine" in messages[-1]  # the table of latencies has its name
    written = ["spot.engine", "spot.engine.json", "spot.onnx", "video.avi"]
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    assert gpu.runtime.leaks == 0


def test_missing_comparison_images_are_reported(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    assert build_engine(onnx, tmp_path / "spot.engine", OPTIONS, gate(onnx, messages))
    assert messages[-1] == "spot.engine: not compared with FP32; give --calibrate VIDEO"


def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Cuda:
        raise CudaError("CUDA finds no GPU; buy one")

    monkeypatch.setattr(cuda_runtime, "installed", fail)


@pytest.mark.parametrize(
    ("lack", "message"),
    [
        (no_tensorrt, "not here: TensorRT's Python bindings cannot be loaded"),
        (no_gpu, "not here: CUDA finds no GPU; buy one"),
    ],
)
def test_elsewhere(
    lack: Callable[[pytest.MonkeyPatch], None],
    message: str,
    gpu: FakeGpu,
    onnx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lack(monkeypatch)
    messages: list[str] = []
    assert build_engine(onnx, tmp_path / "spot.engine", OPTIONS, gate(onnx, messages)) is None
    (line,) = messages
    how = "is built on the Jetson, by korsal-convert build spot.onnx -o spot.engine --max-batch 2, or by the daemon"
    assert line.startswith(f"{tmp_path / 'spot.engine'}: {how} at its first start with spot.onnx; {message}")
    assert "\n" not in line


@pytest.mark.parametrize("limit", [0, 400])
def test_a_disk_that_fills(limit: int, gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "made" / "spot.engine"
    target.parent.mkdir()
    target.write_bytes(b"the old one")
    with pytest.raises(EngineBuildError, match=r"cannot be written \(File too large\)"), full_disk(limit):
        build_engine(onnx, target, OPTIONS, gate(onnx, []))
    assert target.read_bytes() == b"the old one"
    assert list(target.parent.iterdir()) == [target]


def test_an_engine_that_does_not_run_is_not_handed_over(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    gpu.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
    video = write_spot_video(tmp_path / "video.avi")
    with pytest.raises(TensorRtError, match=r"spot\.unchecked\.engine: cudaStreamSynchronize: cudaErrorIllegalAddress"):
        build_engine(onnx, tmp_path / "spot.engine", OPTIONS, gate(onnx, [], CheckData(FRAMES, (video,))))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spot.onnx", "video.avi"]
    assert gpu.runtime.leaks == 0


def test_a_folder_in_its_place(gpu: FakeGpu, onnx: Path, tmp_path: Path) -> None:
    target = tmp_path / "spot.engine"
    target.mkdir()
    with pytest.raises(EngineBuildError, match=r"spot\.engine: cannot be written \(Is a directory\)"):
        build_engine(onnx, target, OPTIONS, gate(onnx, []))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spot.engine", "spot.onnx"]


@pytest.mark.parametrize(("version", "taken"), [("8.6", "spot"), ("10.3", "other"), ("11.4", "other")])
def test_the_file_whose_types_tensorrt_takes(
    version: str, taken: str, onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From TensorRT 10 on what is not quantised computes in the types of the file."""
    fake_device.use(fake_device.gpu_of(onnx, version), monkeypatch)
    other, messages = write_spot_model(tmp_path / "other.onnx"), list[str]()
    assert build_engine(onnx, tmp_path / "spot.engine", OPTIONS, gate(onnx, messages), other)
    assert messages[0].startswith(f"{tmp_path / taken}.onnx: building with TensorRT {version}")


def test_elsewhere_both_files_are_named(onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_tensorrt(monkeypatch)
    messages: list[str] = []
    assert (
        build_engine(onnx, tmp_path / "spot.engine", BuildOptions(), gate(onnx, messages), tmp_path / "other.onnx")
        is None
    )
    named = "by korsal-convert build other.onnx -o spot.engine (of spot.onnx with TensorRT 8.6), or by the daemon"
    assert named in messages[0]
