"""`korsal-train`: teach a detector the actions of a data set. Shell."""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from edge.manifest import Manifest
from edge.motion import MotionSettings
from edge.video_file import CaptureError
from train import checkpoint as checkpoints
from train.annotations import AnnotationError, DataSet, VideoAnnotation, held_out, load_ucf24
from train.augment import AugmentSettings
from train.backbone_weights import BackboneError, load_imagenet
from train.checkpoint import Checkpoint, CheckpointError
from train.data import Choice, FrameSet, TrainingSet
from train.log import Log
from train.losses import LossWeights, losses
from train.model import Detector
from train.validation import frame_average_precision
from train.videos import FrameError, open_packed


class TrainingError(Exception):
    """Training that cannot go on."""


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides how a run turns out; saved inside its checkpoints."""

    data: str
    motion: MotionSettings = MotionSettings()
    height: int = 192  # of the network's input, pixels
    width: int = 256
    samples: int = 60_000  # in the whole run
    batch: int = 16  # per process
    learning_rate: float = 1e-3  # of neck and heads, after warm-up, falling to 0 along a cosine
    backbone_rate: float = 0.5  # of the backbone's, as a share of `learning_rate`
    weight_decay: float = 0.02
    warmup: float = 0.04  # share of the run
    average: float = 0.998  # decay of the weights' moving average, which is what is saved and validated
    dropout: float = 0.1
    clip: float = 10.0  # largest norm of a gradient
    validate_every: int = 7_500  # samples
    validation_stride: int = 16  # every n-th frame of the validation videos
    seed: int = 0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    losses: LossWeights = field(default_factory=LossWeights)


@dataclass(eq=False)
class Run:
    """What changes while training."""

    network: nn.Module
    average: Detector  # moving average of the weights
    optimizer: torch.optim.Optimizer
    samples: int = 0
    best: float = -1.0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _distributed()
        train(_settings(options), options.out, options.cache, options.resume, options.workers)
    except (AnnotationError, BackboneError, CaptureError, CheckpointError, FrameError, TrainingError) as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"korsal-train: stopped; go on with --resume (last.pt in {options.out})", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return 0


def train(settings: TrainSettings, out: Path, cache: Path, resume: bool, workers: int) -> None:
    """Train into `out`: last.pt, best.pt (by validation), log.csv, curves.png."""
    data = load_ucf24(Path(settings.data))
    training, validation = held_out(data.train)
    device = _device()
    torch.manual_seed(settings.seed)
    packed = open_packed([(v.name, data.video(v.name)) for v in data.train], cache)
    manifest = _manifest(settings, data)
    run = _start(settings, manifest, device)
    if resume:
        _resume(run, checkpoints.load(out / "last.pt"), settings)
    samples = TrainingSet(training, packed, manifest, settings.augment, settings.seed, settings.samples)
    frames = FrameSet(_every(validation, settings.validation_stride), packed, manifest)
    log = Log(out / "log.csv", data.labels, resume) if _rank() == 0 else None
    for batch in _batches(samples, run.samples, settings.batch, workers):
        terms = _step(run, {name: value.to(device) for name, value in batch.items()}, settings)
        if log is None:
            continue
        log.add(run.samples, terms, learning_rate(run.samples, settings))
        if _due(run.samples, settings):
            precision = frame_average_precision(run.average, frames, manifest, workers)
            log.validated(run.samples, precision, float(np.nanmean(precision)))
            _save(run, settings, manifest, precision, out)
            log.plot()


def _due(samples: int, settings: TrainSettings) -> bool:
    """True every `validate_every` samples and after the last batch."""
    step = settings.batch * _world()
    ended = samples + step > settings.samples
    return ended or samples // settings.validate_every > (samples - step) // settings.validate_every


def _step(run: Run, batch: Mapping[str, Tensor], settings: TrainSettings) -> dict[str, float]:
    """One optimiser step; returns the loss terms. Raises TrainingError where one is not finite."""
    for group in run.optimizer.param_groups:
        group["lr"] = group["share"] * learning_rate(run.samples, settings)
    run.network.train()
    image = batch["image"].contiguous(memory_format=torch.channels_last)
    with torch.autocast(image.device.type, dtype=torch.bfloat16):
        heads = run.network(image)
    terms = losses(heads, batch, settings.losses)
    values = {name: term.item() for name, term in terms.items()}
    if broken := [name for name, value in values.items() if not math.isfinite(value)]:
        raise TrainingError(f"the {broken[0]} loss is not finite after {run.samples} samples; lower --learning-rate")
    run.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip)
    run.optimizer.step()
    run.samples += settings.batch * _world()
    _follow(run.average, run.network, min(settings.average, run.samples / (run.samples + 10 * settings.batch)))
    return values


def learning_rate(samples: int, settings: TrainSettings) -> float:
    """Linear warm-up, then a cosine down to 0 at the end of the run."""
    share = samples / settings.samples
    if share < settings.warmup:
        return settings.learning_rate * (share + 1e-3) / settings.warmup
    return (
        settings.learning_rate
        * 0.5
        * (1 + math.cos(math.pi * min((share - settings.warmup) / (1 - settings.warmup), 1)))
    )


@torch.no_grad()
def _follow(average: Detector, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's."""
    source = _bare(network).state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(source[name], 1 - decay)
        else:
            value.copy_(source[name])


def _bare(network: nn.Module) -> nn.Module:
    bare: nn.Module = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    return bare


def _start(settings: TrainSettings, manifest: Manifest, device: torch.device) -> Run:
    classes = len(manifest.labels)
    network = Detector(classes, manifest.channels, dropout=settings.dropout)
    load_imagenet(network.backbone, manifest.mean, manifest.std)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Detector(classes, manifest.channels).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(_groups(network, settings))
    wrapped = nn.parallel.DistributedDataParallel(network) if _world() > 1 else network
    return Run(wrapped, average.eval(), optimizer)


def _groups(network: Detector, settings: TrainSettings) -> list[dict[str, Any]]:
    """Parameters by learning rate (backbone or not) and by weight decay (matrices only)."""
    groups = []
    for backbone in (True, False):
        for matrix in (True, False):
            chosen = [
                p
                for name, p in network.named_parameters()
                if name.startswith("backbone.") == backbone and (p.ndim > 1) == matrix
            ]
            share = settings.backbone_rate if backbone else 1.0
            groups.append({"params": chosen, "share": share, "weight_decay": settings.weight_decay * matrix})
    return groups


def _batches(samples: TrainingSet, done: int, batch: int, workers: int) -> Iterator[dict[str, Tensor]]:
    """What is left of the run, this process's share of it, with a progress bar."""
    mine = Subset(samples, range(done + _rank(), len(samples), _world()))
    loader = DataLoader(mine, batch, num_workers=workers, drop_last=True, persistent_workers=workers > 0)
    with tqdm(total=len(samples), initial=done, unit="sample", disable=None if _rank() == 0 else True) as bar:
        for item in loader:
            yield item
            bar.update(batch * _world())


def _every(videos: tuple[VideoAnnotation, ...], stride: int) -> list[Choice]:
    return [Choice(video, frame) for video in videos for frame in range(0, video.frames, stride)]


def _manifest(settings: TrainSettings, data: DataSet) -> Manifest:
    return Manifest(
        name="korsal-lite",
        labels=data.labels,
        height=settings.height,
        width=settings.width,
        motion=settings.motion,
        training={"data": "UCF101-24", "videos": len(data.train), "samples": settings.samples},
    )


def _save(run: Run, settings: TrainSettings, manifest: Manifest, precision: list[float], out: Path) -> None:
    """last.pt always, best.pt where the mean of `precision` (percent, one per label) is the highest so far."""
    mean = float(np.nanmean(precision))
    run_state = {
        "samples": run.samples,
        "best": max(mean, run.best),
        "network": _bare(run.network).state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    training = {**manifest.training, "validation_frame_map_50": round(mean, 2), "samples_seen": run.samples}
    kept = Checkpoint(replace(manifest, training=training), run.average.state_dict(), asdict(settings), run_state)
    checkpoints.save(kept, out / "last.pt")
    if mean > run.best:
        run.best = mean
        checkpoints.save(replace(kept, progress={}), out / "best.pt")


def _resume(run: Run, saved: Checkpoint, settings: TrainSettings) -> None:
    if not saved.progress:
        raise CheckpointError("last.pt holds no progress; start a new run without --resume")
    if dict(saved.settings) != asdict(settings):
        changed = [k for k, v in asdict(settings).items() if saved.settings.get(k) != v]
        raise CheckpointError(f"--resume with another {', '.join(changed)} than before; give the same options")
    _bare(run.network).load_state_dict(saved.progress["network"])
    run.average.load_state_dict(dict(saved.weights))
    run.optimizer.load_state_dict(saved.progress["optimizer"])
    run.samples = saved.progress["samples"]
    run.best = saved.progress["best"]


def _distributed() -> None:
    """Join the other processes where torchrun started several."""
    if "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def _world() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _settings(options: argparse.Namespace) -> TrainSettings:
    motion = MotionSettings(options.motion, not options.no_shifts, options.gap)
    names = ("data", "height", "width", "samples", "batch", "learning_rate", "validate_every", "seed")
    return TrainSettings(motion=motion, **{name: getattr(options, name) for name in names})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="korsal-train",
        description="Train a detector on UCF101-24, or on some of its classes. Several GPUs: "
        "torchrun --nproc-per-node N -m train.train …",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="folder with pyannot.pkl or finalAnnots.mat, the lists and videos/<Class>/")
    add("--out", type=Path, default=Path("runs/train"), help="for last.pt, best.pt, log.csv, curves.png")
    add("--cache", type=Path, default=Path("runs/cache"), help="for decoded frames, about 4 MB a video")
    add("--resume", action="store_true", help="go on from last.pt in --out")
    add("--motion", choices=("ssim", "dsim", "previous", "none"), default="ssim", help="the motion map")
    add("--no-shifts", action="store_true", help="compare frames as they lie, without the search of nine shifts")
    add("--gap", type=int, default=1, help="how many frames back the previous frame lies")
    add("--height", type=int, default=TrainSettings.height, help="of the network's input, a multiple of 32")
    add("--width", type=int, default=TrainSettings.width, help="likewise")
    add("--samples", type=int, default=TrainSettings.samples, help="frames to learn from, in all")
    add("--batch", type=int, default=TrainSettings.batch, help="frames in one step, per process")
    add("--learning-rate", type=float, default=TrainSettings.learning_rate, help="of neck and heads")
    add("--validate-every", type=int, default=TrainSettings.validate_every, help="samples")
    add("--seed", type=int, default=0, help="of the choice and augmentation of frames")
    add("--workers", type=int, default=1, help="processes that prepare samples")
    return parser


if __name__ == "__main__":
    sys.exit(main())
