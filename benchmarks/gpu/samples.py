"""Step: training samples computed on the GPU against the CPU's, and how fast either makes them and a step learns."""

import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu import data, step
from benchmarks.gpu.step import Step
from edge.manifest import Manifest
from edge.motion_map import MotionKind, MotionSettings
from train import training_step
from train.augment import AugmentSettings
from train.batches import Batches, HostBatches
from train.datasets.packed_video import open_packed
from train.gpu import batches
from train.samples import TrainingSet
from train.train_settings import TrainSettings

KINDS: tuple[MotionKind, ...] = ("ssim", "dsim", "previous", "none")
BATCH = 64


def main() -> None:
    """Equality first, then speed."""
    running = step.begin()
    torch.set_num_threads(1)
    videos, files, labels = data.some_videos(running.pack, 2 if running.rehearse else 40)
    packed = open_packed(files, Path("cache-samples"))
    size = (64, 96) if running.rehearse else (224, 288)
    manifest = Manifest("samples", labels, *size, MotionSettings(gap=2))
    for kind in KINDS:
        own = replace(manifest, motion=MotionSettings(kind, gap=2))
        samples = TrainingSet([videos], packed, own, AugmentSettings(), 0, 10**6)
        resident = batches.resident(packed, own, running.device, 0)
        running.note("equality", {"motion": kind, **_differences(samples, resident, 8 if running.rehearse else 64)})
    samples = TrainingSet([videos], packed, manifest, AugmentSettings(), 0, 10**6)
    batch = 4 if running.rehearse else BATCH
    makers: dict[str, Batches] = {
        "CPU, 8 workers": HostBatches(running.device, 0 if running.rehearse else 8),
        "GPU, 1 worker": batches.resident(packed, manifest, running.device, 0 if running.rehearse else 1),
    }
    for name, maker in makers.items():
        made = _rate(maker, samples, batch, running, None)
        learned = _rate(maker, samples, batch, running, _learner(manifest, running.device, batch))
        running.note("speed", {"samples": name, "batch": batch, "made_per_second": made, "learned_per_second": learned})


def _differences(samples: TrainingSet, resident: Batches, count: int) -> dict[str, float]:
    """The largest one of the network's input and of the targets, between the device and the CPU."""
    on_cpu = HostBatches(torch.device("cpu"), 0)
    worst = {"image": 0.0, "targets": 0.0}
    numbers = range(count)
    for ours, theirs in zip(on_cpu(samples, numbers, 8), resident(samples, numbers, 8), strict=True):
        for name in ours:
            part = "image" if name == "image" else "targets"
            worst[part] = max(worst[part], float((ours[name] - theirs[name].cpu()).abs().max()))
    return worst


class _Learner:
    """Learns from a batch in bfloat16."""

    def __init__(self, settings: TrainSettings, manifest: Manifest, device: torch.device) -> None:
        self.settings = settings
        self.run = training_step.start(settings, manifest, device)
        self.run.precision = "bfloat16"

    def __call__(self, batch: Mapping[str, Tensor]) -> None:
        training_step.step(self.run, batch, self.settings)


def _learner(manifest: Manifest, device: torch.device, size: int) -> _Learner:
    return _Learner(TrainSettings(("none",), batch=size, samples=10**6), manifest, device)


def _rate(maker: Batches, samples: TrainingSet, size: int, running: Step, learn: _Learner | None) -> float:
    """Samples per second, over a second or as many as a rehearsal takes; the first batches do not count."""
    torch.backends.cudnn.benchmark = True
    made = _endless(maker, samples, size)
    for _ in range(1 if running.rehearse else 12):
        _use(next(made), learn)
    step.synchronize(running.device)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < (0.1 if running.rehearse else 2.0) and running.left > 0:
        _use(next(made), learn)
        count += size
    step.synchronize(running.device)
    made.close()
    return round(count / (time.perf_counter() - began), 1)


def _use(batch: Mapping[str, Tensor], learn: _Learner | None) -> None:
    if learn is not None:
        learn(batch)


def _endless(maker: Batches, samples: TrainingSet, size: int) -> Generator[Mapping[str, Tensor], None, None]:
    yield from maker(samples, range(len(samples)), size)


if __name__ == "__main__":
    main()
