"""One candidate of `benchmarks.gpu.candidates`: trains as long as there is time, then validates and saves. A process.

How many samples it learns from is decided after a trial, in which all candidates run, so that the learning rate falls
to its end within the time.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import data, detections
from benchmarks.gpu.candidates import CACHE, WORK
from edge.motion_map import MotionSettings
from train import checkpoint as checkpoints
from train import training_step
from train.checkpoint import Checkpoint
from train.train import TrainingSession, learn, prepare
from train.train_settings import CENTERNET_LOSSES, LossWeights, TrainSettings

TRIAL = 12.0  # seconds after the first steps, in which the rate is measured
FIRST_STEPS = 20
SAFETY = 0.93  # of what the rate promises
VALIDATIONS = 3
READY = "ready"


def main() -> None:
    """Prepare, try, learn, save."""
    options = _options()
    ends = time.monotonic() + options.seconds
    candidate: dict[str, Any] = json.loads(options.candidate)
    folder = WORK / candidate["name"]
    device = torch.device("cpu" if options.rehearse else "cuda:0")
    torch.backends.cudnn.benchmark = True
    session = prepare(
        _settings(candidate, options), folder / "run", CACHE, False, 0 if options.rehearse else 2, device, "device"
    )
    (folder / READY).touch()
    _wait_for_all(options.of, ends)
    rate = _rate(session, 0.1 if options.rehearse else TRIAL)
    planned = 8 if options.rehearse else max(int(SAFETY * rate * (ends - time.monotonic())), session.settings.batch)
    session = _begun(session, planned, device)
    learn(session, lambda: time.monotonic() > ends)
    _write(candidate["name"], session, rate, options.kept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains one candidate.")
    parser.add_argument("candidate", help="JSON")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--of", type=int, required=True, help="how many candidates run")
    parser.add_argument("--rehearse", action="store_true")
    return parser.parse_args()


def _settings(candidate: dict[str, Any], options: argparse.Namespace) -> TrainSettings:
    """Of the trial, which never ends by itself."""
    folders = data.folders(options.pack, candidate["data"], WORK / "data", options.rehearse)
    lite = candidate["architecture"] == "lite"
    settings = TrainSettings(
        folders,
        architecture=candidate["architecture"],
        losses=LossWeights() if lite else CENTERNET_LOSSES,
        motion=MotionSettings(candidate.get("motion", "ssim"), gap=candidate.get("gap", 2)),
        batch=candidate["batch"],
        learning_rate=candidate["learning_rate"],
        seed=candidate.get("seed", 0),
        shares=tuple(candidate.get("shares", ())),
        memory=str(options.pack / data.MEMORY) if candidate.get("memory") else "",
        samples=10**8,
        validate_every=10**8,
    )
    return replace(settings, height=64, width=96, batch=4, precision="float32") if options.rehearse else settings


def _wait_for_all(count: int, ends: float) -> None:
    """Until every candidate is ready, or a fifth of the time is over."""
    until = time.monotonic() + (ends - time.monotonic()) / 5
    while len(list(WORK.glob(f"*/{READY}"))) < count and time.monotonic() < until:
        time.sleep(0.2)


def _rate(session: TrainingSession, seconds: float) -> float:
    """Samples per second that are learned from."""
    made = session.batches(session.samples, range(len(session.samples)), session.settings.batch)
    began, before = 0.0, 0
    for index, batch in enumerate(made):
        training_step.step(session.run, batch, session.settings).read()
        if index == FIRST_STEPS or (seconds < 1 and not began):
            began, before = time.perf_counter(), session.run.samples
        elif began and time.perf_counter() - began > seconds:
            break
    return (session.run.samples - before) / (time.perf_counter() - began)


def _begun(session: TrainingSession, samples: int, device: torch.device) -> TrainingSession:
    """The session anew, for so many samples."""
    settings = replace(session.settings, samples=samples, validate_every=max(samples // VALIDATIONS, 1))
    run = training_step.start(settings, session.manifest, device)
    run.precision = session.run.precision
    session.samples.samples = samples
    return replace(session, settings=settings, run=run)


def _write(name: str, session: TrainingSession, rate: float, kept: Path) -> None:
    """The weights, in half the bytes, the log, the curves, the detections, and what is to be said of them."""
    run = session.run
    best = checkpoints.load(session.out / "best.pt") if (session.out / "best.pt").exists() else None
    found = {"name": name, "samples": run.samples, "samples_per_second": round(rate, 1), "precision": run.precision}
    found |= {"planned": session.settings.samples, "frame_map_50": round(run.best, 2)}
    found |= {"architecture": session.settings.architecture, "batch": session.settings.batch}
    (WORK / name / "found.json").write_text(json.dumps(found))
    for file in ("log.csv", "curves.png"):
        if (session.out / file).exists():
            (kept / f"{name}.{file}").write_bytes((session.out / file).read_bytes())
    if best is not None:
        checkpoints.save(halved(best), kept / f"{name}.pt")
        run.average.load_state_dict(dict(best.weights))
        detections.save(session, kept / f"{name}.npz")


def halved(checkpoint: Checkpoint) -> Checkpoint:
    """Matrices in float16, which loading turns into float32 again; batch norms keep what float16 cannot hold."""
    weights = {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


if __name__ == "__main__":
    main()
