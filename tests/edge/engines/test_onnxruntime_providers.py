"""Execution providers of an ONNX Runtime that was built for GPUs: which are requested, which run the model."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.engines import onnxruntime_engine
from edge.engines.onnxruntime_providers import CPU, CUDA, TENSORRT
from edge.inference import EngineError
from tests.support.tiny_model import SIZE, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


class Sessions:
    """Stands for onnxruntime's InferenceSession where a GPU is: the CPU works, and `active` is said to.

    `requested`: the providers of the last session, with their options.
    """

    def __init__(self, session: Any, active: list[str], message: str = "") -> None:
        self._session, self._active, self._message = session, active, message
        self.requested: list[tuple[str, dict[str, str]]] = []

    def __call__(self, path: str, options: Any, providers: list[tuple[str, dict[str, str]]], **others: Any) -> Any:
        self.requested = providers
        sys.stdout.write(self._message)
        session = self._session(path, options, providers=["CPUExecutionProvider"], **others)
        session.get_providers = lambda: self._active
        return session


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sessions]:
    """Makes of onnxruntime one that was built for GPUs, of whose providers some start."""
    onnxruntime = pytest.importorskip("onnxruntime")
    compiled_in = [TENSORRT, CUDA, CPU]
    real = onnxruntime.InferenceSession

    def install(*active: str, message: str = "") -> Sessions:
        sessions = Sessions(real, list(active), message)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: compiled_in)
        monkeypatch.setattr(onnxruntime, "InferenceSession", sessions)
        return sessions

    return install


def test_the_provider_that_works_is_named(
    model: Path, with_gpu: Callable[..., Sessions], caplog: pytest.LogCaptureFixture
) -> None:
    sessions = with_gpu(CUDA, CPU)
    engine = onnxruntime_engine.load(model, providers=(CUDA,))
    assert engine.runtime.startswith("onnxruntime 1.")
    assert engine.runtime.endswith(" CUDAExecutionProvider")
    assert sessions.requested == [(CUDA, {}), (CPU, {})]
    assert caplog.text == ""


def test_a_provider_that_does_not_start_is_logged_once(
    model: Path, with_gpu: Callable[..., Sessions], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with_gpu(CPU, message="*** EP Error ***")
    engine = onnxruntime_engine.load(model, providers=(CUDA,))
    assert engine.runtime.count(" ") == 1  # name and version: it is the CPU
    engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{model}: CUDAExecutionProvider did not start, CPUExecutionProvider runs the model; install" in warning
    assert capsys.readouterr().out == ""  # that is for results


def test_tensorrts_provider_keeps_what_it_builds(
    model: Path, with_gpu: Callable[..., Sessions], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = with_gpu(TENSORRT, CUDA, CPU)
    engine = onnxruntime_engine.load(model, providers=(TENSORRT,), directory=tmp_path / "state")
    assert engine.runtime.endswith(" TensorrtExecutionProvider")
    kept = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "state"),
        "trt_timing_cache_enable": "1",
    }
    assert sessions.requested == [(TENSORRT, kept), (CUDA, {}), (CPU, {})]
    assert (tmp_path / "state").is_dir()
    with_gpu(CUDA, CPU)
    onnxruntime_engine.load(model, providers=(TENSORRT,))
    assert "TensorrtExecutionProvider did not start, CUDAExecutionProvider runs the model" in caplog.text


def test_the_order_of_providers_is_kept(model: Path, with_gpu: Callable[..., Sessions]) -> None:
    sessions = with_gpu(CUDA, CPU)
    onnxruntime_engine.load(model, providers=(CUDA, TENSORRT))
    assert [name for name, _ in sessions.requested] == [CUDA, TENSORRT, CPU]


def test_a_directory_for_tensorrts_provider_that_cannot_be_made(
    model: Path, with_gpu: Callable[..., Sessions], tmp_path: Path
) -> None:
    with_gpu(TENSORRT, CPU)
    (tmp_path / "state").write_text("a file")
    with pytest.raises(
        EngineError, match=r"cannot be created \(Not a directory\); name a directory that this user may"
    ):
        onnxruntime_engine.load(model, providers=(TENSORRT,), directory=tmp_path / "state" / "onnxruntime")
