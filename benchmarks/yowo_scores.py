"""What the experiments on `yowo_lite` measure of a model: its scores on videos, its events, time, size and mistakes.

All is what the commands of korsal-evaluate and korsal-convert give; files that are there already are not made anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clip_every import EVERY, prices_of, with_every
from convert import onnx_file
from convert.__main__ import main as convert
from edge.default_linker import DefaultLinker
from edge.engines import onnxruntime_engine
from edge.engines.memory_file import memory_path
from edge.inference import Engine
from train import checkpoint as checkpoints
from train import memory_features, run_samples, train_settings, training_data
from train.batches import HostBatches
from train.clips.samples import ClipValidationFrames
from train.datasets import loader
from train.evaluate import main as evaluate
from train.evaluation import detection_file, start_scores
from train.evaluation.event_counts import total
from train.evaluation.event_metrics import count_events, settings_by_action, truth_by_video
from train.evaluation.splits import Split, of_split
from train.validation import overall, scores

FRAME_SETS = ("all", "annotated")
LEAST_START = "0.2"  # data that show hardly anything but actions would choose less
VIDEO_KEYS = ("0.2", "0.5", "0.75")
MB = 1e6


@dataclass(frozen=True)
class Data:
    """A data set, and the processes that look at its videos."""

    folder: Path
    jobs: int = 1


def exported(best: Path) -> Path:
    """The model of a checkpoint, beside it."""
    model = best.with_suffix(".onnx")
    if not model.exists():
        _run(convert, ["export", best, "-o", model])
    return model


def detections(model: Path, folder: Path, data: Data, split: Split) -> Path:
    """What the model finds in the videos of a split, and the tubes that are linked of it, in `folder`."""
    found = folder / f"{split}.npz"
    if not found.exists():
        words = ["--data", data.folder, "--split", split, "-o", found, "--jobs", data.jobs, "-q"]
        _run(evaluate, ["detect", model, *words])
    return linked(found, data, split)


def linked(found: Path, data: Data, split: Split) -> Path:
    """The same detections, with their tubes beside them."""
    tubes = found.with_name(f"{found.stem}-tubes.npz")
    if not tubes.exists():
        _run(evaluate, ["link", found, "-o", tubes, "--data", data.folder, "--split", split, "-q"])
    return found


def figures(found: Path, data: Data, split: Split) -> dict[str, Any]:
    """frame-mAP at 0.5 over both sets of frames and video-mAP of saved detections and their tubes, percent."""
    tubes = found.with_name(f"{found.stem}-tubes.npz")
    made: dict[str, Any] = {}
    for frames in FRAME_SETS:
        report = found.with_name(f"{found.stem}-{frames}.json")
        words = ["--data", data.folder, "--split", split, "--detections", found, "--tubes", tubes]
        _run(evaluate, ["score", *words, "--frames", frames, "--json", report, "-q"])
        content = json.loads(report.read_text())
        made[f"frame_map_{frames}"] = content["frame_map"]["0.5"]
        made |= {f"video_map_{key}_{frames}": content["video_map"][key] for key in VIDEO_KEYS}
    return {**made, **mistakes(found.with_name(f"{found.stem}-all.json"))}


def mistakes(report: Path) -> dict[str, Any]:
    """The confusion matrix of a report: rows are true actions, the last one none; columns what was found there."""
    content = json.loads(report.read_text())
    return {"labels": content["protocol"]["classes"], "confusion": content["confusion"]["matrix"]}


def chosen_start_scores(model: Path, folder: Path, data: Data) -> Path:
    """The start scores that suit the validation videos."""
    path = folder / "start_scores.json"
    if not path.exists():
        found = detections(model, folder, data, "validation")
        words = ["--data", data.folder, "--split", "validation", "--choose", path, "--least", LEAST_START]
        _run(evaluate, ["events", found, *words, "-q"])
    return path


def events(found: Path, data: Data, split: Split, start: Mapping[str, float]) -> dict[str, Any]:
    """Of the events at these start scores: how many, recall and precision in percent, false alarms."""
    annotated, known = loader.load(data.folder), detection_file.load(found, dense=True)
    truth = truth_by_video(of_split(annotated, split), annotated.labels, known)
    counts = total(count_events(known, truth, DefaultLinker(), [settings_by_action(start)])[0])
    shares = {"recall": 100 * counts.recall, "precision": 100 * counts.precision}
    named = {name: None if np.isnan(value) else float(value) for name, value in shares.items()}
    return {"actions": counts.actions, "events": counts.events, **named, "false_alarms": counts.false_alarms}


def tested(model: Path, folder: Path, data: Data) -> dict[str, Any]:
    """All of it on the test videos; start scores are the model's own, else chosen on the validation videos."""
    folder.mkdir(parents=True, exist_ok=True)
    own = onnx_file.read(model)[1].start_scores
    start = own or start_scores.load(chosen_start_scores(model, folder, data))
    found = detections(model, folder, data, "test")
    return {**figures(found, data, "test"), **events(found, data, "test", start), "mb": megabytes(model)}


def megabytes(model: Path) -> float:
    """Of a model's file, and of its memory's."""
    memory = onnx_file.read(model)[1].memory
    return (model.stat().st_size + (memory_path(model, memory).stat().st_size if memory else 0)) / MB


def speeds(models: Sequence[Path], rounds: int) -> list[dict[str, float]]:
    """Processor milliseconds of a frame in the pipeline, one thread, all in turns, and their share of the first's."""
    engines = [onnxruntime_engine.load(model, threads=1) for model in models]
    return _speeds(engines, rounds)


def speeds_of_every(model: Path, every: Sequence[int], rounds: int) -> list[dict[str, float]]:
    """The same of one model that makes a map every so many frames."""
    return _speeds([with_every(model, count) for count in every], rounds)


def _speeds(engines: Sequence[Engine], rounds: int) -> list[dict[str, float]]:
    return [{"ms": one.milliseconds, "of_first": one.ratio} for one in prices_of(engines, rounds)]


def validated_at(best: Path, every: int, cache: Path) -> float:
    """Frame-mAP at 0.5 of a checkpoint on some 16th of the validation frames, with a map every so many; percent.

    On the same frames for each of EVERY.
    """
    saved = checkpoints.load(best)
    assert saved.manifest.clip is not None
    manifest, rarest = (
        replace(saved.manifest, clip=replace(saved.manifest.clip, every=count)) for count in (every, max(EVERY))
    )
    settings = train_settings.from_saved(saved.settings)
    data, packed = training_data.with_frames(training_data.load(settings), cache)
    chosen = run_samples.validated(data, settings.validation_stride, packed, rarest, memory_features.NO_MEMORY)
    parts = [replace(part, frames=ClipValidationFrames(part.frames.choices, packed, manifest)) for part in chosen]
    batches = HostBatches(torch.device("cpu"), 0)
    return overall(scores(checkpoints.detector(saved), parts, manifest, batches))


def _run(command: Any, words: Sequence[object]) -> None:
    if command([str(word) for word in words]):
        raise SystemExit(f"{words[0]}: failed, see above; the same command goes on")
