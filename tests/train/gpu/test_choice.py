"""Where samples are computed, what is said of it, and a whole run with samples from the device's memory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.tiny_videos import FRAMES, LABELS, write_data_set
from train import checkpoint as checkpoints
from train.batches import BatchError, HostBatches
from train.datasets import loader
from train.datasets.packed_video import PackedVideo, open_packed
from train.gpu import choice, frames
from train.gpu.batches import GpuBatches
from train.train import learn, main, prepare
from train.train_settings import TrainSettings

CPU = torch.device("cpu")
MANIFEST = Manifest("tiny", LABELS, 64, 64, MotionSettings("ssim"), top_k=1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def packed(data: Path) -> Mapping[str, PackedVideo]:
    found = loader.load(data, 1)
    return open_packed([(video.name, found.video(video.name)) for video in found.train], data / "cache")


def test_the_cpu_computes_for_itself(packed: Mapping[str, PackedVideo]) -> None:
    assert choice.choose("auto", packed, MANIFEST, CPU, 2) == (
        HostBatches(CPU, 2),
        "samples: computed on the CPU (--workers 2)",
    )


def test_from_memory_where_that_is_asked(packed: Mapping[str, PackedVideo]) -> None:
    made, sentence = choice.choose("device", packed, MANIFEST, CPU, 0)
    assert isinstance(made, GpuBatches)
    assert sentence == f"samples: computed on the device, which holds {6 * FRAMES} decoded frames (0.0 GB)"


def test_frames_that_do_not_fit(packed: Mapping[str, PackedVideo], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "free_bytes", lambda device: 1_000_000)
    with pytest.raises(BatchError, match=r"72 decoded frames take 0.0 GB, and of the 0.0 GB.*leave it out"):
        choice.choose("device", packed, MANIFEST, CPU, 0)
    gpu = torch.device("cuda")  # nothing is put there
    made, sentence = choice.choose("auto", packed, MANIFEST, gpu, 1)
    assert made == HostBatches(gpu, 1)
    assert sentence.startswith("samples: computed on the CPU (--workers 1), for 72 decoded frames take")


def test_what_only_the_cpu_computes(packed: Mapping[str, PackedVideo]) -> None:
    flow = replace(MANIFEST, motion=MotionSettings("flow"))
    _, sentence = choice.choose("auto", packed, flow, torch.device("cuda"), 0)
    assert sentence == "samples: computed on the CPU (--workers 0), for motion flow is computed on the CPU alone"


def test_a_run_from_memory_has_the_losses_of_the_cpu(data: Path, tmp_path: Path) -> None:
    """Two steps, then it is stopped and keeps what it has not logged."""
    settings = TrainSettings((str(data),), height=64, width=64, samples=40, batch=4, precision="float32")
    kept = []
    places: tuple[choice.SamplesOn, ...] = ("cpu", "device")
    for where in places:
        steps = iter((False, True))
        learn(prepare(settings, tmp_path / where, data / "cache", False, 0, CPU, where), lambda: next(steps))  # noqa: B023
        kept.append(checkpoints.load(tmp_path / where / "last.pt").progress["unwritten"])
    assert [len(steps) for steps in kept] == [2, 2]
    for ours, theirs in zip(*kept, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(data), "--out", str(tmp_path / "run"), "--device", "cuda"]) == 1
    assert "--device cuda: PyTorch" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
