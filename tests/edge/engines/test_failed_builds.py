"""What is remembered of builds that failed, by the engine cache over the fakes of TensorRT and CUDA."""

import logging
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge import __version__
from edge.engines import build_lock, failed_builds
from edge.engines.engine_cache import EngineCache, EngineCacheError
from edge.engines.failed_builds import ATTEMPTS, noted, path_of, refusal
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError, RefusedError, ShortOfMemoryError
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.tiny_model import write_tiny_model

BUILD = "Builder.build_serialized_network"
ONNX = Path("tiny.onnx")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "ab12.engine"


def attempt(target: Path, error: BaseException | None = None) -> None:
    with noted(str(ONNX), target, "here"):
        if error is not None:
            raise error


def killed(target: Path) -> None:
    """A build that ends its process."""
    child = os.fork()
    if child == 0:
        with noted(str(ONNX), target, "here"):
            os._exit(9)
    os.waitpid(child, 0)


def test_a_refusal_is_enough(target: Path) -> None:
    with pytest.raises(RefusedError):
        attempt(target, RefusedError("tiny.onnx: no such layer"))
    assert refusal(target) == (
        "tiny.onnx: no such layer; it is not tried again until the model, TensorRT or the driver changes, "
        f"or {path_of(target)} is deleted"
    )
    path_of(target).unlink()
    assert refusal(target) == ""


def test_a_build_that_lacks_memory_is_tried_again_for_a_while(target: Path) -> None:
    for _ in range(ATTEMPTS):
        assert refusal(target) == ""
        with pytest.raises(ShortOfMemoryError):
            attempt(target, ShortOfMemoryError("tiny.onnx: too little memory"))
    assert refusal(target).startswith("tiny.onnx: too little memory; it is not tried again until")


def test_a_build_that_ends_the_process_is_tried_again_for_a_while(target: Path) -> None:
    for _ in range(ATTEMPTS):
        assert refusal(target) == ""
        killed(target)
    assert refusal(target).startswith("tiny.onnx: building its TensorRT engine was cut short; it is not tried")


def test_a_last_attempt_that_goes_on_is_not_one_that_failed(target: Path) -> None:
    def last() -> None:
        with noted(str(ONNX), target, "here"):
            assert refusal(target) == ""  # whoever starts now waits for the lock
            assert refusal(target, alone=True) != ""
            raise ShortOfMemoryError("tiny.onnx: too little memory")

    for _ in range(ATTEMPTS - 1):
        killed(target)
    with build_lock.alone(target.parent, lambda: None):
        with pytest.raises(ShortOfMemoryError):
            last()
        assert refusal(target).startswith("tiny.onnx: too little memory; it is not tried again until")
    assert refusal(target).startswith("tiny.onnx: too little memory; it is not tried again until")


def test_a_note_from_before_attempts_were_marked_as_begun_counts(target: Path) -> None:
    path_of(target).write_text(f'{{"attempts": 3, "reason": "no", "refused": false, "release": "{__version__}"}}')
    with build_lock.alone(target.parent, lambda: None):
        assert refusal(target).startswith("no; it is not tried again until")


def test_a_build_that_succeeds_leaves_nothing(target: Path) -> None:
    killed(target)
    attempt(target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineBuildError("disk full")])
def test_what_is_no_fault_of_the_build_does_not_count(error: BaseException, target: Path) -> None:
    with pytest.raises(type(error)):
        attempt(target, error)
    assert not path_of(target).exists()
    killed(target)
    before = path_of(target).read_bytes()
    with pytest.raises(type(error)):
        attempt(target, error)
    assert path_of(target).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b'{"attempts": 9}', b"\xff", b"[]"])
def test_a_note_that_cannot_be_read_is_none(content: bytes, target: Path) -> None:
    path_of(target).write_bytes(content)
    assert refusal(target) == ""


def test_another_release_tries_again(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError):
        attempt(target, RefusedError("no"))
    monkeypatch.setattr(failed_builds, "__version__", "99")
    assert refusal(target) == ""


def test_a_note_that_cannot_be_kept_costs_only_time(target: Path, caplog: pytest.LogCaptureFixture) -> None:
    path_of(target).mkdir()
    with caplog.at_level(logging.WARNING), pytest.raises(RefusedError):
        attempt(target, RefusedError("no"))
    assert "a build that fails will be tried again" in caplog.text
    assert refusal(target) == ""


def start(gpu: FakeGpu, folder: Path) -> str:
    """What a start says where it has no engine, else ""."""
    try:
        EngineCache(folder / "engines", gpu.trt, gpu.cuda).open(folder / "tiny.onnx", BuildOptions()).close()
    except EngineCacheError as error:
        return str(error)
    finally:
        assert gpu.runtime.leaks == 0
    return ""


def test_one_start_tries_and_the_next_ones_do_not(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "tiny.onnx")
    gpu = fake_gpu("10.3", failing={BUILD: "out of luck"})
    first = start(gpu, tmp_path)
    assert start(gpu, tmp_path) == start(gpu, tmp_path) == first
    assert "out of luck" in first
    assert len(gpu.trt.named(BUILD)) == 1


def test_memory_is_asked_for_so_many_times(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "tiny.onnx")
    gpu = fake_gpu("10.3", failing={BUILD: "could not be allocated"})
    assert all("end other programs" in start(gpu, tmp_path) for _ in range(ATTEMPTS + 2))
    assert len(gpu.trt.named(BUILD)) == ATTEMPTS
    assert start(fake_gpu("10.3"), tmp_path) != ""
    assert start(fake_gpu("10.13"), tmp_path) == ""


def test_an_engine_that_never_answers_is_not_rebuilt_for_ever(tmp_path: Path) -> None:
    """It stays, and is asked at every start: the day it answers it is used."""
    write_tiny_model(tmp_path / "tiny.onnx")
    gpu = fake_gpu("10.3", failing={"ICudaEngine.create_execution_context": "no room"})
    assert all("no room" in start(gpu, tmp_path) for _ in range(ATTEMPTS + 2))
    assert len(gpu.trt.named(BUILD)) == ATTEMPTS
    assert start(fake_gpu("10.3"), tmp_path) == ""
    assert list(tmp_path.rglob("*.failed")) == []


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_second_start_waits_for_the_last_attempt_of_the_first(ends_well: bool, tmp_path: Path) -> None:
    """It neither counts that attempt as one that failed, nor tries once more."""
    write_tiny_model(tmp_path / "tiny.onnx")
    gpu = fake_gpu("10.3")
    waited: list[str] = []

    def over() -> None:  # called at each wait; by then the other process ends
        if ends_well:
            EngineCache(tmp_path / "other", gpu.trt, gpu.cuda).open(tmp_path / "tiny.onnx", BuildOptions()).close()
            for path in (tmp_path / "other" / "tiny").glob(f"{target.stem}.*"):
                path.rename(target.parent / path.name)
            path_of(target).unlink()
        first.close()

    second = EngineCache(tmp_path / "engines", gpu.trt, gpu.cuda, waited.append, over)
    target = second.place(tmp_path / "tiny.onnx", BuildOptions())
    target.parent.mkdir(parents=True)
    for _ in range(ATTEMPTS):
        killed(target)
    first = ExitStack()
    first.enter_context(build_lock.alone(target.parent, lambda: None))
    if ends_well:
        second.open(tmp_path / "tiny.onnx", BuildOptions()).close()
    else:
        with pytest.raises(EngineCacheError, match="was cut short; it is not tried again"):
            second.open(tmp_path / "tiny.onnx", BuildOptions())
    assert waited == ["Waiting for another korsal-edge that builds the same engine"]
    assert len(gpu.trt.named(BUILD)) == ends_well  # the other's
    assert gpu.runtime.leaks == 0


def test_a_first_that_ends_just_before_the_second_takes_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_model(tmp_path / "tiny.onnx")
    gpu = fake_gpu("10.3")
    cache = EngineCache(tmp_path / "engines", gpu.trt, gpu.cuda)
    target = cache.place(tmp_path / "tiny.onnx", BuildOptions())
    target.parent.mkdir(parents=True)
    for _ in range(ATTEMPTS):
        killed(target)
    monkeypatch.setattr(build_lock, "held", lambda folder: True)  # when it was asked
    with pytest.raises(EngineCacheError, match="was cut short"):
        cache.open(tmp_path / "tiny.onnx", BuildOptions())
    assert gpu.trt.named(BUILD) == []
