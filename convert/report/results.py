"""What a run's files say, read for its report. Shell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.report.incidents import Incidents, incidents_of
from edge.default_linker import DefaultLinker
from edge.event_settings import ActionSettings
from edge.terminal import progress
from edge.text import TextError, decode_utf8
from train.box_tables import FrameBoxes, joined
from train.datasets import split_lists
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.evaluation import bootstrap, detection_file, plots, scoring, start_scores
from train.evaluation.bootstrap import Interval
from train.evaluation.event_counts import EventCounts
from train.evaluation.event_judgement import judge_events
from train.evaluation.event_metrics import counts_of, settings_by_action, truth_by_video
from train.evaluation.metrics import Curve, average_precision, matched_frames
from train.evaluation.plots import PlotError
from train.evaluation.protocols import Protocol
from train.evaluation.report import FRAME_THRESHOLD, Report, score_split
from train.evaluation.splits import Split

PROTOCOL = Protocol()  # by which a run scores
SEED = 0  # of the draws: the same run gives the same intervals


@dataclass(frozen=True)
class ScoredFiles:
    """What a run has written of the videos of a split: scores and detections; and the start scores it has chosen."""

    split: Split
    scores: Path
    detections: Path
    start_scores: Path


@dataclass(frozen=True)
class RunFiles:
    """A run's files; `scored` is None where nothing was held out."""

    log: Path
    scored: ScoredFiles | None = None


@dataclass(frozen=True)
class ClassScenes:
    """In how many scenes, and as how many tubes, an action is shown to be learned, and to be scored on."""

    learned_scenes: int
    learned_tubes: int
    scored_scenes: int
    scored_tubes: int


@dataclass(frozen=True, eq=False)
class Scores:
    """How good the model is on the videos of a split: `document` is what korsal-evaluate wrote, in percent.

    By class: `intervals`, `events` and `start_scores`, at which they were counted. `videos` by name, in the order in
    which the boxes that were `found` number them; `scene_of`: that of each video.
    """

    split: Split
    document: Mapping[str, Any]
    report: Report
    intervals: tuple[Interval, ...]
    mean_interval: Interval
    start_scores: tuple[float, ...]
    events: tuple[EventCounts, ...]
    incidents: Incidents
    videos: Mapping[str, VideoAnnotation]
    found: FrameBoxes
    scene_of: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class RunResults:
    """All of a run; `scores` is None where nothing was held out. `scenes`: of each label, by its name."""

    log: Mapping[str, NDArray[np.float64]]
    scenes: Mapping[str, ClassScenes]
    quiet_videos: int
    scores: Scores | None


def read(data: DataSet, files: RunFiles) -> RunResults:
    """Raises AnnotationError, ColumnError, EvaluationError, ScoreError."""
    every = (*data.train, *data.test)
    scene_of = dict(zip((video.name for video in every), split_lists.scene_names(every), strict=True))
    scored = files.scored
    learned, held = split_lists.held_out(data.train) if scored else (data.train, ())
    shown = data.test if scored and scored.split == "test" else held
    scenes = {label: _scenes(n, learned, shown, scene_of) for n, label in enumerate(data.labels)}
    try:
        log = plots.logged_columns(files.log)
    except PlotError:
        log = {}
    quiet = sum(video.quiet for video in every)
    return RunResults(log, scenes, quiet, _scores(data, scored, scene_of) if scored else None)


def _scenes(
    label: int, learned: Sequence[VideoAnnotation], scored: Sequence[VideoAnnotation], scene_of: Mapping[str, str]
) -> ClassScenes:
    counts = []
    for videos in (learned, scored):
        tubes = [scene_of[video.name] for video in videos for tube in video.tubes if tube.label == label]
        counts += [len(set(tubes)), len(tubes)]
    return ClassScenes(*counts)


def _scores(data: DataSet, files: ScoredFiles, scene_of: Mapping[str, str]) -> Scores:
    with progress.Progress("reading what was found", ""):
        one = scoring.split_tables(data, files.detections, None, files.split)
        labels = one.shared.labels
        report = score_split(one.whole, labels, PROTOCOL)
        intervals, mean = _intervals(one, [scene_of[video.name] for video in one.videos])
    own = start_scores.load(files.start_scores)
    events, incidents = _events(files.detections, one, own)
    return Scores(
        split=files.split,
        document=_document(files, labels),
        report=report,
        intervals=intervals,
        mean_interval=mean,
        start_scores=tuple(own.get(label, ActionSettings.start_score) for label in labels),
        events=events,
        incidents=incidents,
        videos={video.name: video for video in one.videos},
        found=one.whole.found or joined([]),
        scene_of=scene_of,
    )


def _events(
    path: Path, one: scoring.SplitTables, own: Mapping[str, float]
) -> tuple[tuple[EventCounts, ...], Incidents]:
    """As `korsal-evaluate events --start-scores` counts them, and each that was wrong."""
    labels, rules = one.shared.labels, settings_by_action(own)
    found = detection_file.load(path, dense=True)
    truth = truth_by_video(one.videos, labels, found)
    numbers = [found.label_names.index(label) for label in labels]
    counts, judged = [EventCounts()] * len(labels), []
    with progress.Progress("judging events", "video", len(found.video_names)) as linked:
        for video, judgements in judge_events(found, truth, DefaultLinker(), rules, linked.update):
            mine = [judgements[number] for number in numbers]
            judged.append((video, mine))
            for place, (number, of_class) in enumerate(zip(numbers, mine, strict=True)):
                start_score = rules.for_action(labels[place]).start_score
                counts[place] += counts_of(video, of_class, number, start_score)
    return tuple(counts), incidents_of(judged, labels)


def _intervals(one: scoring.SplitTables, scenes: Sequence[str]) -> tuple[tuple[Interval, ...], Interval]:
    rules, found = PROTOCOL.in_frames, one.whole.found or joined([])
    matched = matched_frames(found, one.whole.truth, len(one.shared.labels), FRAME_THRESHOLD, rules)

    def average(points: Curve) -> float:
        return average_precision(points, PROTOCOL.rule, rules)

    random = np.random.default_rng(SEED)
    return bootstrap.average_precisions(matched, one.whole.truth, scenes, average, random)


def _document(files: ScoredFiles, labels: Sequence[str]) -> Mapping[str, Any]:
    """The scores, with all classes. Raises AnnotationError."""
    path = files.scores
    try:
        document: dict[str, Any] = json.loads(decode_utf8(path.read_bytes()))
        for label in labels:
            float(document["per_class"][label]["boxes"])
        float(document["frame_map"]["0.5"] or 0)
        split = str(document["protocol"]["data"]).rpartition(", ")[2]
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); korsal-train run --again") from error
    except (TextError, ValueError, LookupError, TypeError) as error:
        raise AnnotationError(f"{path}: are no scores of these actions ({error!r}); korsal-train run") from error
    if split != files.split:
        raise AnnotationError(
            f"{path}: is of {split} videos, {files.detections} of {files.split}; korsal-train run --again"
        )
    return document
