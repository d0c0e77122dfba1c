"""Detections and events in the same videos at fewer frames a second, as on a slow machine or at a lower `fps`.

python -m benchmarks.frame_rate DATA [--model FILE] [--rates 30 25 15 10 5] [--split test] [--videos N]

A rate is an upper limit: a video of 25 frames a second has all its frames at 30. Prints for each rate frame-mAP at 0.5,
over the frames that all rates have, and the daemon's events.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge import detector, pipeline
from edge.cameras.video_file import read_file
from edge.config.config_file import SHIPPED_MODEL
from edge.default_linker import DefaultLinker
from edge.engines.onnxruntime_engine import load
from edge.inference import Engine
from edge.linker import Linker
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from edge.sources import Frame
from train.box_tables import in_video, joined
from train.datasets import loader
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.evaluation import detection
from train.evaluation.detection import VideoDetections
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_counts import EventCounts, as_table, total
from train.evaluation.event_metrics import count_events, settings_by_action, truth_by_video
from train.evaluation.metrics import average_precision, frame_curves, mean_with_truth
from train.evaluation.splits import of_split
from train.evaluation.video_evaluation import true_boxes

MINIMUM_SCORE = 0.01  # of the detections that count in frame-mAP, as korsal-evaluate has it


@dataclass(frozen=True, eq=False)
class Thinned:
    """One video at one rate: which of its frames were used, how many of these a second, and what was found in them."""

    frames: NDArray[np.int64]
    rate: float
    found: VideoDetections


def main() -> None:
    """Print two lines for each rate: frame-mAP, and recall, delay, precision and false alarms of events."""
    options = _options()
    engine = load(options.model or asset_path(SHIPPED_MODEL), threads=1)
    data = loader.load(options.data)
    videos = of_split(data, options.split)
    videos = videos[:: max(1, len(videos) // options.videos)] if options.videos else videos
    rates = sorted(options.rates, reverse=True)
    thinned = [
        _detect([*read_file(data.video(one.name), one.name)], one, engine, rates)
        for one in tqdm(videos, unit="video", disable=None)
    ]
    print(report(rates, thinned, videos, data, engine.manifest.labels, engine.manifest.start_scores, DefaultLinker()))


def report(
    rates: Sequence[float],
    thinned: Sequence[Sequence[Thinned]],
    videos: Sequence[VideoAnnotation],
    data: DataSet,
    labels: Sequence[str],
    start_scores: Mapping[str, float],
    linker: Linker,
) -> str:
    """The tables, from each video at each of the falling `rates`; `labels` and `start_scores` are the model's."""
    lines, rows = [], []
    for place, rate in enumerate(rates):
        counts = []
        precise = []
        for one, video in zip(thinned, videos, strict=True):
            at_rate = one[place]
            found = detection.joined([video.name], labels, [at_rate.found])
            truth = truth_by_video([_annotation(video, at_rate.frames)], data.labels, found)
            (counted,) = count_events(found, truth, at_rate.rate, linker, [settings_by_action(start_scores)])
            counts.append(counted)
            precise.append(_common(at_rate, one[-1].frames))
        by_label = [sum(column, EventCounts()) for column in zip(*counts, strict=True)]
        rows.append((f"{rate:g} fps", total(by_label)))
        lines.append(f"{rate:g} fps: frame-mAP {100 * _frame_map(precise, thinned, videos, data, labels):.1f}")
    return "\n".join([*lines, as_table(rows)])


def _common(thinned: Thinned, frames: NDArray[np.int64]) -> VideoDetections:
    """What was found in those of the video's frames."""
    chosen = np.searchsorted(thinned.frames, frames)
    return replace(thinned.found, found=[thinned.found.found[index] for index in chosen.tolist()])


def _frame_map(
    found: Sequence[VideoDetections],
    thinned: Sequence[Sequence[Thinned]],
    videos: Sequence[VideoAnnotation],
    data: DataSet,
    labels: Sequence[str],
) -> float:
    saved: SavedDetections = detection.joined([one.name for one in videos], labels, found)
    predicted = saved.table({one.name: len(part.found) for one, part in zip(videos, found, strict=True)}, data.labels)
    tables = []
    for number, (one, video) in enumerate(zip(thinned, videos, strict=True)):
        table = true_boxes(_annotation(video, one[-1].frames).tubes, len(one[-1].frames))
        tables.append(replace(table, frames=in_video(np.int64(number), table.frames)))
    curves = frame_curves(predicted, joined(tables), len(data.labels))
    return mean_with_truth([average_precision(one, "voc") for one in curves])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Detections and events in the same videos at fewer frames a second.")
    parser.add_argument("data", type=Path, help="a data set, as for korsal-evaluate --data")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[30, 25, 15, 10, 5], help="frames per second, at most"
    )
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument("--videos", type=int, help="use about this many of the videos; default: all")
    return parser.parse_args()


def _detect(
    frames: Sequence[Frame], video: VideoAnnotation, engine: Engine, rates: Sequence[float]
) -> tuple[Thinned, ...]:
    """The pipeline's detections in the video, at each of the rates."""
    frames = [frame for frame in frames if frame.index < video.frames]
    own = (len(frames) - 1) / (frames[-1].monotonic_time - frames[0].monotonic_time)
    found: dict[tuple[int, ...], Thinned] = {}
    thinned = []
    for rate in rates:
        used = kept(len(frames), own, rate)
        key = tuple(used.tolist())
        if key not in found:
            found[key] = Thinned(used, min(own, rate), _run([frames[index] for index in used.tolist()], engine))
        thinned.append(found[key])
    return tuple(thinned)


def _run(frames: Sequence[Frame], engine: Engine) -> VideoDetections:
    state, found = pipeline.initial("video", "benchmark"), []
    for index, frame in enumerate(frames):
        settings = PipelineSettings(minimum_score=MINIMUM_SCORE)
        state, result = pipeline.step(state, replace(frame, index=index), engine, settings)
        found.append(result.detections)
    return VideoDetections(found, detector.frame_size(frames[0].image))


def kept(frames: int, own: float, rate: float) -> NDArray[np.int64]:
    """Of so many frames, `own` a second, those nearest to an even pace of `rate`; all where that is not lower."""
    if rate >= own:
        return np.arange(frames)
    nearest = np.floor(np.arange(int(frames * rate / own) + 2) * own / rate + 0.5).astype(np.int64)
    return np.unique(nearest[nearest < frames])


def _annotation(video: VideoAnnotation, frames: NDArray[np.int64]) -> VideoAnnotation:
    """The annotation of those frames, renumbered from 0."""
    tubes = [_tube(tube, frames) for tube in video.tubes]
    annotated = None
    if video.annotated_frames is not None:
        annotated = np.flatnonzero(np.isin(frames, video.annotated_frames))
    return replace(
        video, frames=len(frames), tubes=tuple(one for one in tubes if len(one.boxes)), annotated_frames=annotated
    )


def _tube(tube: GroundTruthTube, frames: NDArray[np.int64]) -> GroundTruthTube:
    inside = np.flatnonzero((frames >= tube.first_frame) & (frames < tube.end_frame))
    first = int(inside[0]) if len(inside) else 0
    return replace(tube, first_frame=first, boxes=tube.boxes[frames[inside] - tube.first_frame])


if __name__ == "__main__":
    main()
