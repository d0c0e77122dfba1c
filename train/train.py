"""`korsal-train`: teach a detector the actions of a data set. Shell."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from edge import packages
from edge.cameras.video_file import CaptureError
from edge.manifest import Manifest
from edge.packages import MissingPackageError
from edge.terminal import output as terminal
from edge.terminal import progress
from edge.terminal.progress import Progress
from train import checkpoint as checkpoints
from train import (
    clip_training,
    commands,
    memory_features,
    precision,
    processes,
    run_losses,
    run_samples,
    starting_weights,
    train_options,
    train_settings,
    training_data,
    training_step,
    validation,
)
from train.batches import BatchError, Batches
from train.checkpoint import Checkpoint, CheckpointError
from train.clips.samples import ClipTrainingSet
from train.datasets.annotation_records import AnnotationError
from train.datasets.packed_video import FrameError
from train.evaluation.plots import PlotError
from train.gpu import choice
from train.gpu.choice import SamplesOn
from train.log import LogError, TrainingLog
from train.networks.imagenet_weights import BackboneError
from train.networks.movinet_weights import MovinetError
from train.networks.yowo.names import TRAINED
from train.processes import DeviceError
from train.samples import TrainingSet
from train.train_settings import RequestedPrecision, TrainingPrecision, TrainSettings
from train.training_step import LossTerms, TrainingError, TrainingRun
from train.validation import ValidationPart

ERRORS = (
    *(AnnotationError, BackboneError, BatchError, CaptureError, CheckpointError, DeviceError, FrameError),
    *(LogError, MissingPackageError, MovinetError, PlotError, TrainingError),
)


KEEP_EVERY_S = 600.0  # that much is lost at most when a machine goes off


@dataclass(frozen=True, eq=False)
class TrainingSession:
    """A run with all that belongs to it, ready to learn."""

    settings: TrainSettings
    manifest: Manifest
    run: TrainingRun
    samples: TrainingSet | ClipTrainingSet
    validation: tuple[ValidationPart, ...]  # the data sets that have videos for it
    log: TrainingLog
    out: Path
    batches: Batches

    @property
    def validated_frames(self) -> int:
        """How many frames each validation looks at."""
        return sum(len(part.frames) for part in self.validation)


@terminal.program
def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in commands.COMMANDS:
        return commands.run(words[0], words[1:])
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
    packages.require("matplotlib")  # for curves.png, after the first validation
    device = device or processes.device("auto")
    faults = [*train_settings.faults(settings, processes.count()), *train_options.faults(settings, workers, samples_on)]
    if faults:
        raise TrainingError("; ".join(faults))
    data = training_data.load(settings)
    if (out / "last.pt").exists() and not resume:
        raise TrainingError(f"{out}: already holds a run; --resume continues it, another --out starts a new one")
    saved = checkpoints.load(out / "last.pt") if resume else None
    watcher = memory_features.watcher(Path(settings.memory)) if settings.memory else None
    manifest = run_samples.manifest_of(settings, data, watcher.memory if watcher else None)
    run = training_step.start(settings, manifest, device, saved)  # it refuses before minutes of decoding and watching
    log = TrainingLog(out / "log.csv", training_data.scored_columns(data), run_losses.terms(settings))
    if saved:
        training_step.resume(run, saved, settings, manifest.labels)
    if processes.rank() == 0:
        log.resume(run.samples, saved.progress.get("unwritten", [])) if saved else log.start()
    data, packed = training_data.with_frames(data, cache)
    memory = watcher.maps(packed, device) if watcher else memory_features.NO_MEMORY
    run.precision = _precision(settings.precision, run, manifest, settings.batch, saved)
    parts = [part.training for part in data.parts]
    samples = run_samples.learned(parts, packed, manifest, settings, memory)
    scored = run_samples.validated(data, settings.validation_stride, packed, manifest, memory)
    clips = clip_training.sees_clips(settings)
    batches, where = choice.choose("cpu" if clips else samples_on, packed, manifest, device, workers)
    if clips and not saved and run.new_heads:
        where += "\n" + clip_training.set_priors([run.network, run.average], [*chain(*parts)], packed, manifest)
    if starting_weights.is_onnx(Path(settings.weights)) and not saved:
        first = range(min(training_step.NORM_SAMPLES, len(samples)))
        training_step.settle_norms(run, batches(samples, first, training_step.NORM_BATCH))
    if processes.rank() == 0:
        print(where, flush=True)
        print(training_data.description(manifest, settings.other_gaps, data, samples.choose.shares), flush=True)
    return TrainingSession(settings, manifest, run, samples, scored, log, out, batches)


def _print_summary(session: TrainingSession, stopped: bool) -> None:
    """What was made, how good it is, and what comes next."""
    run, settings, best = session.run, session.settings, session.out / "best.pt"
    score = "not scored yet" if session.validated_frames else "not scored: no video was held out"
    if run.best >= 0:
        score = f"frame-mAP@0.5 {run.best:.1f} % on {session.validated_frames} frames of videos it never learned from"
    if best.exists():
        early = f", the last {run.worse} validations were no better" if _ended_early(session) else ""
        print(f"{progress.file_summary(best)}: {score}; {run.samples} of {settings.samples} samples seen{early}")
    if stopped:
        print(progress.next_step("korsal-train", *settings.data, "--out", session.out, "--resume"), flush=True)
    else:
        print(progress.next_step("korsal-convert", "export", best, "-o", best.with_suffix(".onnx")), flush=True)


def _precision(
    asked: RequestedPrecision, run: TrainingRun, manifest: Manifest, batch: int, saved: Checkpoint | None
) -> TrainingPrecision:
    """What all processes compute in; the first one prints the reason."""
    before = {**train_settings.EARLIER_DEFAULTS, **saved.settings}["precision"] if saved else None
    machine = precision.this_machine(
        training_step.unwrapped(run.network), batch, manifest.channels, manifest.input_size
    )
    if manifest.architecture in TRAINED and asked == "auto":  # a trial would take minutes
        why = "as the run began" if before else "with clips bfloat16 is not tried; --precision asks for it"
        choice = precision.PrecisionChoice(before or "float32", why)
    else:
        choice = precision.choose(asked, before, machine)
    if processes.any_true(choice.precision == "float32") and choice.precision != "float32":
        choice = precision.PrecisionChoice("float32", "another process of this run computes in it")
    if processes.rank() == 0:
        print(f"precision: {choice.precision} ({choice.why})", flush=True)
    return choice.precision


def learn(session: TrainingSession, stopped: Callable[[], bool]) -> None:
    """Train to the end, or until `stopped`, into `out`: last.pt, best.pt, log.csv, curves.png.

    best.pt is the best by validation; where nothing is held out, the last. last.pt is written every ten minutes too.
    """
    run, settings, first = session.run, session.settings, processes.rank() == 0
    if _ended_early(session):
        return
    kept = time.monotonic()
    unread: deque[tuple[int, LossTerms]] = deque()
    for batch in _batches(session):
        terms = training_step.step(run, batch, settings)
        unread.append((run.samples, terms))
        validates = due(run.samples, settings, processes.count())
        _log_losses(session, unread, all_of_them=validates)
        stops = processes.any_true(stopped())
        if first and validates:
            _validate(session)
        if stops or time.monotonic() - kept > KEEP_EVERY_S:
            _log_losses(session, unread, all_of_them=True)
            if first:
                _save(session, None)
            kept = time.monotonic()
        if stops or processes.any_true(_ended_early(session)):
            return


def _ended_early(session: TrainingSession) -> bool:
    """Whether the score has not risen for too many validations."""
    return 0 < session.settings.patience <= session.run.worse


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
    _save(session, _scored(session) if session.validated_frames else None)
    session.log.plot()


def _scored(session: TrainingSession) -> float:
    """Frame-mAP@0.5 of the averaged weights, percent, the mean of the data sets; also logged and printed, with each."""
    found = validation.scores(session.run.average, session.validation, session.manifest, session.batches)
    mean, several = validation.overall(found), len(found) > 1
    columns = [value for one in found for value in (*([one.mean] * several), *one.precision)]
    session.log.validated(session.run.samples, columns, mean)
    of_each = f" ({', '.join(map(str, found))})" if several else ""
    where = f"on {session.validated_frames} frames"
    progress.print_line(f"{session.run.samples} samples: frame-mAP@0.5 {mean:.1f} %{of_each} {where}")
    return mean


def _save(session: TrainingSession, score: float | None) -> None:
    """last.pt always; best.pt where `score` (percent; None: not validated) is the highest so far, or none will be."""
    run = session.run
    better = not session.validated_frames or (score is not None and score > run.best)
    if score is not None:
        run.best, run.worse = (score, 0) if better else (run.best, run.worse + 1)
    training = {**session.manifest.training, "samples_seen": run.samples}
    if score is not None:
        training["validation_frame_map_50"] = round(score, 2)
    manifest = replace(session.manifest, training=training)
    progress = {**training_step.progress(run), "unwritten": session.log.unwritten}
    settings = replace(session.settings, precision=run.precision)
    kept = Checkpoint(manifest, run.average.state_dict(), asdict(settings), progress)
    if better:  # before last.pt, which would know of a best score without weights if that were cut off between the two
        checkpoints.save(replace(kept, progress={}), session.out / "best.pt")
    checkpoints.save(kept, session.out / "last.pt")


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


if __name__ == "__main__":
    sys.exit(main())
