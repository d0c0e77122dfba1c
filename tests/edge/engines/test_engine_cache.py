"""First starts, upgrades and damage, with real files and fakes of TensorRT and CUDA."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.engines import engine_build, engine_record, failed_builds, onnxruntime_engine, tensorrt_engine
from edge.engines.engine_cache import EngineCache, EngineCacheError
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import Engine, LoadedEngine
from edge.manifest import OUTPUTS
from tests.support.fake_gpu import VERSIONS, FakeGpu, fake_gpu
from tests.support.full_disk import full_disk
from tests.support.tiny_model import MANIFEST, SIZE, write_tiny_model
from tests.support.waiting import PATIENCE

OPTIONS = BuildOptions(max_batch=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def cache(
    gpu: FakeGpu,
    directory: Path,
    announce: Callable[[str], Any] = lambda text: None,
    check_stop: Callable[[], Any] = lambda: None,
) -> EngineCache:
    return EngineCache(directory, gpu.trt, gpu.cuda, announce, check_stop)


def start(gpu: FakeGpu, directory: Path, model: Path, options: BuildOptions = OPTIONS) -> int:
    """Open the engine as a start does, see that it works and close it; how many engines were built for that."""
    before = len(gpu.trt.named("Builder.build_serialized_network"))
    with cache(gpu, directory).open(model, options) as engine:
        assert_works(engine)
    assert gpu.runtime.leaks == 0
    return len(gpu.trt.named("Builder.build_serialized_network")) - before


def assert_works(engine: Engine) -> None:
    answer = engine.infer({"image": np.ones((1, 3, SIZE, SIZE), np.float32)})
    assert answer["scores"][0, 0] == pytest.approx(1 / (1 + np.exp(-4)))
    assert engine.manifest == MANIFEST


def engines(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.engine"))


def refusal(gpu: FakeGpu, directory: Path, model: Path) -> str:
    with pytest.raises(EngineCacheError) as caught:
        cache(gpu, directory).open(model, OPTIONS)
    assert gpu.runtime.leaks == 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_start_builds_and_the_second_does_not(version: str, model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu(version)
    assert start(gpu, tmp_path, model) == 1
    assert start(gpu, tmp_path, model) == 0
    (engine,) = engines(tmp_path)
    assert engine.parent == tmp_path / "tiny"
    record = engine_record.from_json(engine_record.beside(engine).read_text())
    assert (record.platform.tensorrt, record.platform.gpu) == (gpu.trt.__version__, "Orin")
    others = {path.name for path in engine.parent.iterdir()} - {engine.name, engine_record.beside(engine).name}
    assert others == {"lock", "timing.cache", f"{engine.stem}.log"}


def test_a_cached_engine_is_opened_without_an_announcement(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    announced: list[str] = []
    start(gpu, tmp_path, model)
    (tmp_path / "tiny" / "lock").unlink()
    cache(gpu, tmp_path, announced.append).open(model, OPTIONS).close()
    assert announced == []
    assert not (tmp_path / "tiny" / "lock").exists()  # so that a directory that is only readable will do


def test_the_progress_of_a_build_is_announced(model: Path, tmp_path: Path) -> None:
    announced: list[str] = []
    cache(fake_gpu("10.3"), tmp_path, announced.append).open(model, OPTIONS).close()
    assert announced[0] == "Building the TensorRT engine of tiny.onnx"
    assert announced[-2].endswith(" 100%")
    assert announced[-1] == ""


def test_a_build_without_a_monitor_is_announced(model: Path, tmp_path: Path) -> None:
    announced: list[str] = []
    cache(fake_gpu("8.6"), tmp_path, announced.append).open(model, OPTIONS).close()
    assert announced == ["Building the TensorRT engine of tiny.onnx", ""]


@pytest.mark.parametrize(("version", "kept"), [("10.3", [".log", "lock"]), ("8.6", None)])
def test_a_build_that_is_stopped(version: str, kept: list[str] | None, model: Path, tmp_path: Path) -> None:
    """At its next step, and nothing partial is left; without a monitor after it, and the engine is kept."""

    def check_stop() -> None:
        raise KeyboardInterrupt

    announced: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        cache(fake_gpu(version), tmp_path, announced.append, check_stop).open(model, OPTIONS)
    assert announced[-1] == ""
    assert kept in (None, sorted(path.suffix or path.name for path in tmp_path.rglob("*") if path.is_file()))
    assert len(engines(tmp_path)) == (1 if kept is None else 0)


def upgraded(gpu: FakeGpu) -> FakeGpu:
    return fake_gpu("10.13")


def other_card(gpu: FakeGpu) -> FakeGpu:
    gpu.runtime.name, gpu.runtime.compute_capability = b"Thor", (11, 0)
    return gpu


def other_driver(gpu: FakeGpu) -> FakeGpu:
    gpu.runtime.driver = 13000
    return gpu


@pytest.mark.parametrize("change", [upgraded, other_card, other_driver])
def test_after_an_upgrade_it_is_rebuilt(change: Callable[[FakeGpu], FakeGpu], model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    (before,) = engines(tmp_path)
    gpu = change(gpu)
    assert start(gpu, tmp_path, model) == 1
    assert start(gpu, tmp_path, model) == 0
    (after,) = engines(tmp_path)  # the old one is gone, with its record and log
    assert after != before
    assert {path.stem for path in after.parent.iterdir() if path.name.startswith(before.stem)} == set()


def test_other_options_and_another_model(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    assert start(gpu, tmp_path, model, replace(OPTIONS, max_batch=2)) == 1
    assert start(gpu, tmp_path, model) == 0  # two commands with their own options do not build in turns
    assert start(gpu, tmp_path, model, replace(OPTIONS, max_batch=2)) == 0
    assert len(engines(tmp_path)) == 2
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes())
    assert start(gpu, tmp_path, other) == 1
    assert {path.parent.name for path in engines(tmp_path)} == {"tiny", "other"}
    other.write_bytes(model.read_bytes() + b"\x7a\x00")  # an empty field more: the same network, another file
    assert start(gpu, tmp_path, other) == 1
    assert len(engines(tmp_path)) == 3  # the newer model's is in place of the older one's


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", None])
def test_what_an_upgrade_leaves(damage: bytes | None, model: Path, tmp_path: Path) -> None:
    """Of the same options nothing older stays, of others what can still be read; what nothing can load is removed."""
    two, three = (replace(OPTIONS, max_batch=batch) for batch in (2, 3))
    for options in (OPTIONS, two, three):
        start(fake_gpu("10.3"), tmp_path, model, options)
    gpu = fake_gpu("10.3")
    by_options = {options: cache(gpu, tmp_path).place(model, options) for options in (OPTIONS, two, three)}
    record = engine_record.beside(by_options[three])
    record.unlink() if damage is None else record.write_bytes(damage)
    upgraded = fake_gpu("10.13")
    assert start(upgraded, tmp_path, model) == 1
    assert set(engines(tmp_path)) == {by_options[two], cache(upgraded, tmp_path).place(model, OPTIONS)}
    assert not engine_record.beside(by_options[OPTIONS]).exists()
    assert start(upgraded, tmp_path, model, two) == 1
    assert len(engines(tmp_path)) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda engine: engine.write_bytes(b""),
        lambda engine: engine.write_bytes(engine.read_bytes()[:-9]),
        lambda engine: engine.write_bytes(engine.read_bytes() + b"x"),
        lambda engine: engine.write_bytes(b"\x08\x08 not of TensorRT" * 9),
        lambda engine: engine_record.beside(engine).unlink(),
        lambda engine: engine_record.beside(engine).write_text("{"),
        lambda engine: engine_record.beside(engine).write_bytes(b"\xff"),
    ],
)
def test_a_damaged_engine_is_rebuilt(
    spoil: Callable[[Path], Any], model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    (engine,) = engines(tmp_path)
    spoil(engine)
    assert start(gpu, tmp_path, model) == 1
    assert engines(tmp_path) == [engine]
    assert caplog.text.count("rebuilding it") == 1
    assert start(gpu, tmp_path, model) == 0


def test_the_previous_engine_stays_until_the_new_one_has_answered(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The new one is built, but the GPU does not run it: the previous one is used."""
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    (previous,) = engines(tmp_path)
    gpu.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
    with cache(gpu, tmp_path).open(model, replace(OPTIONS, max_batch=2)) as engine:
        assert_works(engine)
    assert f"using the previous engine {previous}" in caplog.text
    assert previous in engines(tmp_path)
    assert gpu.runtime.leaks == 0
    assert start(gpu, tmp_path, model, replace(OPTIONS, max_batch=2)) == 0  # now it answers


def test_a_build_that_fails_while_a_previous_engine_runs(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start(fake_gpu("10.3"), tmp_path, model)
    gpu = fake_gpu("10.3", failing={"Builder.build_serialized_network": "out of memory"})
    with cache(gpu, tmp_path).open(model, replace(OPTIONS, max_batch=2)) as engine:
        assert_works(engine)
    assert "out of memory" in caplog.text
    assert len(engines(tmp_path)) == 1


def test_a_build_that_fails_after_an_upgrade(model: Path, tmp_path: Path) -> None:
    """The previous engine does not run any more, but it stays: the upgrade may be taken back."""
    start(fake_gpu("10.3"), tmp_path, model)
    gpu = fake_gpu("11.0", failing={"Builder.build_serialized_network": "out of luck"})
    assert "out of luck" in refusal(gpu, tmp_path, model)
    assert len(engines(tmp_path)) == 1
    assert start(fake_gpu("10.3"), tmp_path, model) == 0


def test_of_several_previous_engines_the_newest_that_runs(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    for seconds, batch in ((1000, 1), (1001, 2), (2000, 3)):
        start(gpu, tmp_path, model, replace(OPTIONS, max_batch=batch))
        path = cache(gpu, tmp_path).place(model, replace(OPTIONS, max_batch=batch))
        os.utime(path, (seconds, seconds))
    path.write_bytes(b"damaged")
    os.utime(path, (2000, 2000))
    failing = fake_gpu("10.3", failing={"Builder.build_serialized_network": "out of luck"})
    with cache(failing, tmp_path).open(model, OPTIONS) as engine:
        assert engine.infer({"image": np.ones((2, 3, SIZE, SIZE), np.float32)})["scores"].shape == (2, 1)
        with pytest.raises(TensorRtError, match="takes 1 to 2 images"):
            engine.infer({"image": np.ones((3, 3, SIZE, SIZE), np.float32)})


def test_a_previous_engine_for_as_many_images_comes_first(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    for batch in (4, 1):  # the newest takes one image only
        start(gpu, tmp_path, model, replace(OPTIONS, max_batch=batch))
    os.utime(cache(gpu, tmp_path).place(model, OPTIONS), (1000, 1000))
    failing = fake_gpu("10.3", failing={"Builder.build_serialized_network": "out of luck"})
    with cache(other_driver(failing), tmp_path).open(model, OPTIONS) as engine:
        assert engine.infer({"image": np.ones((4, 3, SIZE, SIZE), np.float32)})["scores"].shape == (4, 1)


def test_a_previous_engine_that_cannot_be_removed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    (previous,) = engines(tmp_path)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == previous:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert start(other_driver(gpu), tmp_path, model) == 1
    assert "cannot be removed (Operation not permitted)" in caplog.text


def test_an_engine_of_another_model_never_steps_in(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    start(gpu, tmp_path, model)
    other = tmp_path / "tiny.onnx"
    other.write_bytes(model.read_bytes() + b"\x7a\x00")
    gpu = fake_gpu("10.3", failing={"Builder.build_serialized_network": "out of luck"})
    assert "out of luck" in refusal(gpu, tmp_path, other)


def test_a_model_that_is_none(tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    assert "cannot be read (No such file or directory); give an ONNX file" in refusal(gpu, tmp_path, tmp_path / "no")
    (tmp_path / "text.onnx").write_text("not a model")
    assert refusal(gpu, tmp_path / "state", tmp_path / "text.onnx").startswith(f"{tmp_path / 'text.onnx'}: ")
    damaged = tmp_path / "damaged.engine"
    damaged.write_bytes(b"\0\0rt" + bytes(99))  # which cannot be told from a broken ONNX
    assert "is not a complete ONNX file (it is not protobuf), nor a TensorRT engine" in refusal(
        gpu, tmp_path / "state", damaged
    )
    assert engines(tmp_path) == [damaged]


def test_no_gpu(model: Path, tmp_path: Path) -> None:
    gpu = fake_gpu("10.3")
    gpu.runtime.fail("cudaDeviceGetAttribute", "cudaErrorNoDevice")
    assert refusal(gpu, tmp_path, model).startswith(f"{model}: cudaDeviceGetAttribute: cudaErrorNoDevice; check that")


def test_a_directory_that_cannot_be_made(model: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    message = refusal(fake_gpu("10.3"), tmp_path / "state", model)
    assert message.startswith(f"{tmp_path / 'state'}: cannot be used (")
    assert "[outbox] directory" in message


def test_a_disk_that_is_full(model: Path, tmp_path: Path) -> None:
    with full_disk(3):
        message = refusal(fake_gpu("10.3"), tmp_path, model)
    assert "cannot be written (File too large)" in message
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


def test_two_that_start_at_once_build_once(model: Path, tmp_path: Path) -> None:
    """The second waits for the lock of the first and finds its engine."""
    gpu, announced = fake_gpu("10.3"), list[str]()
    waiter = cache(gpu, tmp_path, announced.append)
    target = waiter.place(model, OPTIONS)
    target.parent.mkdir()
    loaded: list[LoadedEngine] = []
    with (target.parent / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: loaded.append(waiter.open(model, OPTIONS)))
        thread.start()
        deadline = time.monotonic() + 30
        while not announced and time.monotonic() < deadline:
            time.sleep(0.001)
        engine_build.build(gpu.trt, model, target, OPTIONS, None)
    thread.join(PATIENCE)
    assert announced[0] == "Waiting for another korsal-edge that builds the same engine"
    assert len(gpu.trt.named("Builder.build_serialized_network")) == 1
    with loaded[0] as engine:
        assert_works(engine)


@pytest.mark.gpu
@pytest.mark.tensorrt
def test_a_real_gpu_answers_as_onnx_runtime_does(model: Path, tmp_path: Path) -> None:
    trt, cuda = tensorrt_engine.bindings()
    image = np.random.default_rng(0).normal(size=(1, 3, SIZE, SIZE)).astype(np.float32)
    expected = onnxruntime_engine.load(model).infer({"image": image})
    with EngineCache(tmp_path, trt, cuda).open(model, BuildOptions()) as engine:
        assert_works(engine)
        for _ in range(4):  # directly, then as a graph
            answer = engine.infer({"image": image})
            for name in OUTPUTS:
                np.testing.assert_allclose(answer[name], expected[name], atol=1e-3)


def test_what_tensorrt_reports_of_a_build_is_kept_beside_the_engine(model: Path, tmp_path: Path) -> None:
    failing = fake_gpu("10.3", failing={"Builder.build_serialized_network": "out of luck"})
    refusal(failing, tmp_path, model)
    (log,) = tmp_path.rglob("*.log")
    first, message = log.read_text().splitlines()
    assert first.startswith(f"{model.name}, TensorRT 10.3")
    assert message.endswith(": out of luck")
    failed_builds.path_of(log).unlink()
    start(fake_gpu("10.3"), tmp_path, model)
    assert "out of luck" not in log.read_text()
    log.unlink()
    start(fake_gpu("10.3"), tmp_path, model)
    assert not log.exists()  # nothing was built
