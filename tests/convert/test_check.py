"""Two engines side by side on real frames: differences, events, time; what cannot be compared is refused."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.__main__ import main
from convert.calibration import FramePair
from convert.check import BATCHES, CheckData, CheckError, ComparedModel, as_text, check, check_files
from edge.engines import engine_build
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.inference import Engine, LoadedEngine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support import fake_device
from tests.support.fake_gpu import FakeGpu
from tests.support.memory_model import described, write_detector, write_memory_model
from tests.support.spot_model import SIDE, write_spot_model, write_spot_video
from tests.support.tiny_videos import picture, write_video

MANIFEST = Manifest("tiny", ("Run", "Jump"), 64, 96, MotionSettings("none"), top_k=1)
FRAMES = tuple(FramePair(np.zeros((64, 96, 3), np.uint8)) for _ in range(3))


def detecting(score: float, label: int = 0) -> Engine:
    """One person, always at the same place."""

    def infer(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        batch = len(inputs["image"])
        class_scores = np.zeros((batch, 1, 2), np.float32)
        class_scores[..., label] = score
        return {
            "boxes": np.tile(np.array([[[20, 10, 40, 50]]], np.float32), (batch, 1, 1)),
            "scores": np.full((batch, 1), score, np.float32),
            "labels": np.full((batch, 1), label, np.int64),
            "class_scores": class_scores,
        }

    return Engine(infer, MANIFEST, "0" * 64, "a plain function")


@pytest.fixture
def material(tmp_path: Path) -> CheckData:
    video = write_video(tmp_path / "a.avi", [picture(0, frame, 1) for frame in range(50)])
    return CheckData(FRAMES, (video,))


def named(engine: Engine, name: str = "m.onnx") -> ComparedModel:
    return ComparedModel(Path(name), LoadedEngine(engine, None))


def test_the_same_model_differs_by_nothing(material: CheckData) -> None:
    found = check(named(detecting(0.9)), named(detecting(0.9)), material)
    assert found.agreement.lost == found.agreement.extra == 0
    assert found.events == (1, 0, 0)
    assert np.isnan(found.lost)
    text = as_text(found, ("exact", "same"))
    assert "1 events begin: 0 missed, 0 extra" in text
    assert "accuracy: not measured; give --data DIR" in text


def test_events_begin_at_the_scores_of_the_model(material: CheckData) -> None:
    shy = replace(detecting(0.5), manifest=replace(MANIFEST, start_scores={"Run": 0.6}))
    assert check(named(detecting(0.5)), named(shy), material).events == (1, 1, 0)


def test_a_model_that_detects_another_action_is_found(material: CheckData) -> None:
    found = check(named(detecting(0.9)), named(detecting(0.9, label=1)), material)
    assert found.agreement.lost == found.agreement.extra == 3
    assert found.events == (1, 1, 1)


def test_every_batch_is_timed_for_both(material: CheckData) -> None:
    found = check(named(detecting(0.9)), named(detecting(0.8)), material)
    assert [pair[0].batch for pair in found.latency] == [pair[1].batch for pair in found.latency] == list(BATCHES)
    for pair in found.latency:
        for one in pair:
            assert 0 < one.p50 <= one.p95 <= one.p99
            assert one.throughput == pytest.approx(1000 * one.batch / one.p50)


Change = Callable[[Manifest], Manifest]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: replace(m, labels=("Run", "Sit")), "its labels is ('Run', 'Sit')"),
        (lambda m: replace(m, width=128), "its width is 128"),
        (lambda m: replace(m, motion=MotionSettings("ssim")), "its motion.kind is ssim, that of"),
        (lambda m: replace(m, memory=described("a" * 64)), "its memory is there, that of"),
        (lambda m: replace(m, rate=10.0), "its rate is 10.0"),
        (lambda m: replace(m, nms_iou=0.4), "its nms_iou is 0.4"),
    ],
)
def test_models_of_different_things_are_refused(change: Change, message: str, material: CheckData) -> None:
    other = replace(detecting(0.9), manifest=change(MANIFEST))
    with pytest.raises(CheckError) as caught:
        check(named(detecting(0.9)), named(other, "other.onnx"), material)
    assert str(caught.value).startswith(f"other.onnx: {message}")
    assert "compare a model with the one it was made from" in str(caught.value)


def test_a_model_with_another_memory_is_refused(tmp_path: Path) -> None:
    """The maps that both are given are of one memory: another one would be compared with what it never gives."""
    one, other = (write_memory_model(tmp_path, name) for name in ("one", "other"))
    network = described(hashlib.sha256(other.memory.read_bytes()).hexdigest())
    write_detector(other.detector, replace(network, interval=2))
    with pytest.raises(CheckError, match=r"other\.onnx: its memory\.interval is 2, that of"):
        check_files(one.detector, other.detector, CheckData(FRAMES, ()))


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FakeGpu, Path, Path]:
    """A GPU, an ONNX, and the engine of it for one or two images."""
    onnx = write_spot_model(tmp_path / "spot.onnx")
    gpu = fake_device.use(fake_device.gpu_of(onnx), monkeypatch)
    platform = engine_build.platform_of(gpu.trt, gpu.cuda.device())
    engine_build.build(gpu.trt, onnx, tmp_path / "spot.engine", BuildOptions(max_batch=2), platform)
    return gpu, onnx, tmp_path / "spot.engine"


def test_an_engine_beside_its_onnx(built: tuple[FakeGpu, Path, Path], tmp_path: Path) -> None:
    gpu, onnx, engine = built
    video = write_spot_video(tmp_path / "video.avi")
    found = check_files(onnx, engine, CheckData((FramePair(np.zeros((SIDE, SIDE, 3), np.uint8)),), (video,)))
    assert found.events == (1, 0, 0)
    assert [pair[1].batch for pair in found.latency] == [1, 2]
    assert "batches of 4, 8: not timed, the engine takes none; build it with --max-batch 8" in as_text(
        found, ("onnx", "engine")
    )
    assert gpu.runtime.leaks == 0


def test_the_command_takes_an_engine(
    built: tuple[FakeGpu, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu, onnx, engine = built
    video = write_spot_video(tmp_path / "video.avi")
    assert main(["check", str(onnx), str(engine), "--calibrate", str(video), "--frames", "16"]) == 0
    assert "1 events begin: 0 missed, 0 extra" in capsys.readouterr().out
    gpu.runtime.fail("cudaStreamSynchronize", "cudaErrorIllegalAddress")
    assert main(["check", str(onnx), str(engine), "--calibrate", str(video), "--frames", "16"]) == 1
    assert "spot.engine: cudaStreamSynchronize: cudaErrorIllegalAddress; restart" in capsys.readouterr().err
    assert gpu.runtime.leaks == 0
