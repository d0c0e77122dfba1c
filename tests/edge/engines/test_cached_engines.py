"""What is kept in the engine cache when a new engine has answered, with fakes of TensorRT and CUDA."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge import __version__
from edge.engines import failed_builds
from edge.engines.engine_cache import EngineCache, EngineCacheError
from edge.engines.tensorrt_build_plan import BuildOptions
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.tiny_model import write_tiny_model

OPTIONS = BuildOptions(max_batch=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def start(gpu: FakeGpu, directory: Path, model: Path, options: BuildOptions = OPTIONS) -> None:
    EngineCache(directory, gpu.trt, gpu.cuda).open(model, options).close()


def refused(gpu: FakeGpu, directory: Path, model: Path) -> None:
    with pytest.raises(EngineCacheError, match="out of luck"):
        start(gpu, directory, model)


def engines(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.engine"))


def leavings(directory: Path) -> set[str]:
    """What is kept of builds that failed."""
    return {path.name for suffix in (".failed", ".log") for path in directory.rglob(f"*{suffix}")}


FAILING = {"Builder.build_serialized_network": "out of luck"}


def test_a_new_engine_removes_what_is_left_of_builds_on_another_machine(model: Path, tmp_path: Path) -> None:
    two = replace(OPTIONS, max_batch=2)
    refused(fake_gpu("10.3", failing=FAILING), tmp_path, model)
    old = leavings(tmp_path)
    assert len(old) == 2
    start(fake_gpu("10.13"), tmp_path, model, two)
    (engine,) = engines(tmp_path)
    assert leavings(tmp_path) == {f"{engine.stem}.log"}


def test_a_new_engine_leaves_what_is_known_of_this_machine(model: Path, tmp_path: Path) -> None:
    """What failed in other options, and what TensorRT said of it; what is cached as well."""
    gpu = fake_gpu("10.3")
    refused(fake_gpu("10.3", failing=FAILING), tmp_path, model)
    kept = leavings(tmp_path)
    start(gpu, tmp_path, model, replace(OPTIONS, max_batch=2))
    start(gpu, tmp_path, model, replace(OPTIONS, max_batch=3))
    assert leavings(tmp_path) == kept | {f"{engine.stem}.log" for engine in engines(tmp_path)}
    assert len(engines(tmp_path)) == 2


def test_a_new_engine_removes_what_is_left_of_an_older_model_or_release(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "older" / "tiny.onnx"
    other.parent.mkdir()
    other.write_bytes(model.read_bytes() + b"\x7a\x00")
    failing, gpu, two = fake_gpu("10.3", failing=FAILING), fake_gpu("10.3"), replace(OPTIONS, max_batch=2)
    refused(failing, tmp_path, other)
    refused(failing, tmp_path, model)
    note = failed_builds.path_of(EngineCache(tmp_path, gpu.trt, gpu.cuda).place(model, OPTIONS))
    note.write_text(note.read_text().replace(__version__, "0.0"))
    (tmp_path / "tiny" / "0123456789abcdef.failed").write_text("{")
    (tmp_path / "tiny" / "fedcba9876543210.log").touch()
    start(gpu, tmp_path, model, two)
    assert leavings(tmp_path) == {f"{engine.stem}.log" for engine in engines(tmp_path)}
