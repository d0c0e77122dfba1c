"""`korsal-train`: teach a detector the actions of a data set. Shell."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge.cameras.video_file import CaptureError
from edge.manifest import Manifest
from edge.terminal import output as terminal
from edge.terminal import progress
from edge.terminal.progress import Progress
from train import check, precision, processes, train_options, train_settings, training_step
from train import checkpoint as checkpoints
from train.batches import BatchError, Batches
from train.checkpoint import Checkpoint, CheckpointError
from train.datasets import loader
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.datasets.frame_kinds import known_frames
from train.datasets.frame_rate import frame_rate
from train.datasets.packed_video import FrameError, PackedVideo, open_packed
from train.datasets.split_lists import held_out
from train.evaluation.plots import PlotError
from train.gpu import choice
from train.gpu.choice import SamplesOn
from train.log import LogError, TrainingLog
from train.networks.imagenet_weights import BackboneError
from train.processes import DeviceError
from train.samples import TrainingSet, ValidationFrames, decoded, every_nth
from train.train_settings import RequestedPrecision, TrainingPrecision, TrainSettings
from train.training_step import LossTerms, TrainingError, TrainingRun
from train.validation import frame_average_precision

ERRORS = (
    *(AnnotationError, BackboneError, BatchError, CaptureError, CheckpointError, DeviceError, FrameError),
    *(LogError, PlotError, TrainingError),
)


@dataclass(frozen=True, eq=False)
class TrainingSession:
    """A run with all that belongs to it, ready to learn."""

    settings: TrainSettings
    manifest: Manifest
    run: TrainingRun
    samples: TrainingSet
    frames: ValidationFrames  # for validation
    log: TrainingLog
    out: Path
    batches: Batches


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    terminal.escape_unencodable()
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] == "check":
        return check.main(words[1:])
    options = train_options.parser().parse_args(words)
    try:
        device = processes.device(options.device)
        processes.join(device)
        progress.enable(not options.no_progress and processes.rank() == 0)
        settings, folders = train_options.settings(options), (options.out, options.cache)
        session = prepare(settings, *folders, options.resume, options.workers, device, options.samples_on)
        with processes.GracefulStop() as stop:
            learn(session, stop.requested)
        if processes.rank() == 0:
            _print_summary(session, stop.requested())
    except ERRORS as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-train: stopped at once; what came after the last last.pt is lost", file=sys.stderr)
        return 130
    finally:
        processes.leave()
    if stop.requested():
        where = f"{session.run.samples} samples, kept in {options.out / 'last.pt'}"
        print(f"korsal-train: stopped after {where}; continue with --resume", file=sys.stderr)
        return 128 + stop.signal
    return 0


def prepare(
    settings: TrainSettings,
    out: Path,
    cache: Path,
    resume: bool,
    workers: int,
    device: torch.device | None = None,
    samples_on: SamplesOn = "auto",
) -> TrainingSession:
    """Everything up to the first step: videos decoded into `cache`, network built or resumed. Raises ERRORS."""
    device = device or processes.device("auto")
    faults = train_settings.faults(settings, processes.count())
    faults += [f"--workers {workers}: give 0 or more"] if workers < 0 else []
    if faults:
        raise TrainingError("; ".join(faults))
    data = loader.load(Path(settings.data), settings.fold)
    training, validation = _split(data, settings.all_groups)
    _require_action(training, f"{data.title}: no training video shows an action in an annotated frame; annotate one")
    if (out / "last.pt").exists() and not resume:
        raise TrainingError(f"{out}: already holds a run; --resume continues it, another --out starts a new one")
    saved = checkpoints.load(out / "last.pt") if resume else None
    packed = _packed(data, cache)
    training, validation = decoded(training, packed), decoded(validation, packed)
    _require_action(training, f"{data.title}: no annotated frame can be decoded; copy the videos again")
    manifest = _manifest(settings, data)
    run = training_step.start(settings, manifest, device, saved)
    log = TrainingLog(out / "log.csv", data.labels)
    if saved:
        training_step.resume(run, saved, settings)
    run.precision = _precision(settings.precision, run, manifest, settings.batch, saved)
    samples = TrainingSet(
        training, packed, manifest, settings.augment, settings.seed, settings.samples, settings.other_gaps
    )
    frames = ValidationFrames(every_nth(validation, settings.validation_stride), packed, manifest)
    batches, where = choice.choose(samples_on, packed, manifest, device, workers)
    if processes.rank() == 0:
        print(where, flush=True)
        print(_description(manifest, settings.other_gaps, training, validation), flush=True)
        log.resume(run.samples, saved.progress.get("unwritten", [])) if saved else log.start()
    return TrainingSession(settings, manifest, run, samples, frames, log, out, batches)


def _print_summary(session: TrainingSession, stopped: bool) -> None:
    """What was made, how good it is, and what comes next."""
    run, settings, best = session.run, session.settings, session.out / "best.pt"
    score = "not scored: no video was held out" if not len(session.frames) else "not scored yet"
    if run.best >= 0:
        score = f"frame-mAP@0.5 {run.best:.1f} % on {len(session.frames)} frames of videos it never learned from"
    if best.exists():
        print(f"{progress.file_summary(best)}: {score}; {run.samples} of {settings.samples} samples seen")
    if stopped:
        print(progress.next_step("korsal-train", settings.data, "--out", session.out, "--resume"), flush=True)
    else:
        print(progress.next_step("korsal-convert", "export", best, "-o", best.with_suffix(".onnx")), flush=True)


def _precision(
    asked: RequestedPrecision, run: TrainingRun, manifest: Manifest, batch: int, saved: Checkpoint | None
) -> TrainingPrecision:
    """What all processes compute in; the first one prints the reason."""
    before = {**training_step.EARLIER_DEFAULTS, **saved.settings}["precision"] if saved else None
    machine = precision.this_machine(
        training_step.unwrapped(run.network), batch, manifest.channels, manifest.input_size
    )
    choice = precision.choose(asked, before, machine)
    if processes.any_true(choice.precision == "float32") and choice.precision != "float32":
        choice = precision.PrecisionChoice("float32", "another process of this run computes in it")
    if processes.rank() == 0:
        print(f"precision: {choice.precision} ({choice.why})", flush=True)
    return choice.precision


def learn(session: TrainingSession, stopped: Callable[[], bool]) -> None:
    """Train to the end, or until `stopped`, into `out`: last.pt, best.pt, log.csv, curves.png.

    best.pt is the best by validation; where nothing is held out, the last.
    """
    run, settings, first = session.run, session.settings, processes.rank() == 0
    unread: deque[tuple[int, LossTerms]] = deque()
    for batch in _batches(session):
        terms = training_step.step(run, batch, settings)
        unread.append((run.samples, terms))
        validates = due(run.samples, settings, processes.count())
        _log_losses(session, unread, all_of_them=validates)
        if first and validates:
            _validate(session)
        if processes.any_true(stopped()):
            _log_losses(session, unread, all_of_them=True)
            if first:
                _save(session, None)
            return


def _log_losses(session: TrainingSession, unread: deque[tuple[int, LossTerms]], all_of_them: bool) -> None:
    """Log the steps whose losses are there; one that a GPU computes may wait while the next one is begun."""
    while unread and (all_of_them or len(unread) > 1 or unread[0][1].ready is None):
        samples, terms = unread.popleft()
        values = terms.read()
        if processes.rank() == 0:
            session.log.add(samples, values, training_step.learning_rate(samples, session.settings))


def due(samples: int, settings: TrainSettings, count: int) -> bool:
    """True every `validate_every` samples and after the last batch, of `count` processes together."""
    step = settings.batch * count
    ended = samples + step > settings.samples
    return ended or samples // settings.validate_every > (samples - step) // settings.validate_every


def _validate(session: TrainingSession) -> None:
    """Score the averaged weights if anything is held out, save them, draw the curves."""
    _save(session, _scored(session) if len(session.frames) else None)
    session.log.plot()


def _scored(session: TrainingSession) -> float:
    """Frame-mAP@0.5 of the averaged weights on the validation frames, percent; also logged."""
    precision = frame_average_precision(session.run.average, session.frames, session.manifest, session.batches)
    known = [value for value in precision if not np.isnan(value)]
    mean = sum(known) / len(known) if known else 0.0
    session.log.validated(session.run.samples, precision, mean)
    progress.print_line(f"{session.run.samples} samples: frame-mAP@0.5 {mean:.1f} % on {len(session.frames)} frames")
    return mean


def _save(session: TrainingSession, score: float | None) -> None:
    """last.pt always; best.pt where `score` (percent; None: not validated) is the highest so far, or none will be."""
    run = session.run
    better = not len(session.frames) or (score is not None and score > run.best)
    run.best = score if score is not None and better else run.best
    training = {**session.manifest.training, "samples_seen": run.samples}
    if score is not None:
        training["validation_frame_map_50"] = round(score, 2)
    manifest = replace(session.manifest, training=training)
    progress = {**training_step.progress(run), "unwritten": session.log.unwritten}
    settings = replace(session.settings, precision=run.precision)
    kept = Checkpoint(manifest, run.average.state_dict(), asdict(settings), progress)
    checkpoints.save(kept, session.out / "last.pt")
    if better:
        checkpoints.save(replace(kept, progress={}), session.out / "best.pt")


def _batches(session: TrainingSession) -> Iterator[Mapping[str, Tensor]]:
    """What is left of the run, this process's share of it, with a progress bar; all get as many batches."""
    done, batch, count = session.run.samples, session.settings.batch, processes.count()
    total = len(session.samples)
    end = total - (total - done) % (batch * count)
    mine = range(done + processes.rank(), end, count)
    with Progress("training", "sample", total, done) as seen:
        for item in session.batches(session.samples, mine, batch):
            yield item
            seen.update(batch * count)


def _split(data: DataSet, all_groups: bool) -> tuple[tuple[VideoAnnotation, ...], tuple[VideoAnnotation, ...]]:
    """The videos to learn from, and those to validate on."""
    if all_groups:
        return data.train, ()
    training, validation = held_out(data.train)
    if not training or not validation:
        kind = "training" if not training else "validation"
        raise TrainingError(
            f"trainlist.txt leaves no video for {kind}: groups 23 to 25 are for validation, or of names "
            "without groups every fifth video of a class, all others for training, and both are needed; "
            "--all-groups learns from all and validates on none"
        )
    return training, validation


def _require_action(videos: Iterable[VideoAnnotation], sentence: str) -> None:
    if not any(video.tubes and len(known_frames(video)) for video in videos):
        raise TrainingError(sentence)


def _packed(data: DataSet, cache: Path) -> dict[str, PackedVideo]:
    """The first process decodes what the cache lacks, then all open it."""
    videos = [(v.name, data.video(v.name)) for v in data.train]
    if processes.rank() == 0:
        open_packed(videos, cache)
    processes.wait_for_all()
    return open_packed(videos, cache)


def _description(
    manifest: Manifest,
    other_gaps: tuple[int, ...],
    training: tuple[VideoAnnotation, ...],
    validation: tuple[VideoAnnotation, ...],
) -> str:
    motion = manifest.motion
    gaps = " or ".join(map(str, (motion.gap, *other_gaps)))
    shifts = "" if motion.shifts or motion.kind == "none" else " without shifts"
    return (
        f"network: {manifest.architecture}, {manifest.width}x{manifest.height} pixels, "
        f"motion {motion.kind}{shifts}, gap {gaps} at {manifest.rate:g} frames per second, "
        f"{len(manifest.labels)} actions; "
        f"{len(training)} videos to learn from, {len(validation)} to validate on"
    )


def _manifest(settings: TrainSettings, data: DataSet) -> Manifest:
    return Manifest(
        name=f"korsal-{settings.architecture}",
        architecture=settings.architecture,
        labels=data.labels,
        height=settings.height,
        width=settings.width,
        motion=settings.motion,
        rate=frame_rate(data),
        training={"data": data.title, "videos": len(data.train), "samples": settings.samples},
    )


if __name__ == "__main__":
    sys.exit(main())
