"""Detections and events in the same videos at fewer frames a second, as on a slow machine or at a lower `fps`.

    python -m benchmarks.frame_rate DATA [--split test] [--videos N] [--keep FOLDER] [--plot PNG]

A rate is an upper limit: a video of 25 frames a second has all its frames at 30. Prints for each rate frame-mAP at 0.5,
over the frames that all rates have, and the daemon's events with both linkers; for all videos, and for those of about
25 and of about 30 frames a second by themselves. Each twice: in seconds, as it is, and as until 2026-11-29, when motion
gap and linker counted frames. With --keep, what is found is kept in a folder, and a run that was stopped goes on from
there. One thread.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.frame_rate_report import COUNTINGS, Counting, EventCounter, Thinned, draw, in_groups, report
from edge import detector, pipeline
from edge.cameras.video_file import read_file
from edge.config.config_file import SHIPPED_MODEL
from edge.engines.onnxruntime_engine import load
from edge.inference import Engine
from edge.korsal_linker import MIN_SCORE
from edge.linker import UNIT
from edge.motion_gap import MotionGap, choose
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from edge.sources import Frame
from train.datasets import loader
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation import detection, detection_file
from train.evaluation.detection import VideoDetections
from train.evaluation.detection_file import SavedDetections
from train.evaluation.splits import evenly_spaced, of_split


def main() -> None:
    """Print the tables of each group of videos, and draw the curves of all of them."""
    options = _options()
    engine = load(options.model or asset_path(SHIPPED_MODEL), threads=1)
    data = loader.load(options.data)
    every = of_split(data, options.split)
    videos = evenly_spaced(every, options.videos)
    rates = sorted(options.rates, reverse=True)
    keep = options.keep and options.keep / engine.sha256[:12]
    thinned = [
        _detect(_Video([*read_file(data.video(one.name), one.name)], one, engine, keep), rates)
        for one in tqdm(videos, unit="video", disable=None)
    ]
    print(f"{data.title}, {options.split}: {len(videos)} of {len(every)} videos; {engine.manifest.name}")
    events = EventCounter(engine.manifest.start_scores, data.labels)
    for name, chosen in in_groups(videos, thinned):
        print(f"\n{name}")
        rows = report(rates, chosen, data.labels, events)
        print("\n".join(map(str, rows)))
        if options.plot and len(chosen) == len(videos):
            draw(rows, options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set, as for korsal-evaluate --data")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[30, 25, 15, 10, 5], help="frames per second, at most"
    )
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument("--videos", type=int, help="this many of the videos, evenly over the list; default: all")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what is found there, and use what is there")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the curves of all videos")
    return parser.parse_args()


@dataclass(frozen=True, eq=False)
class _Video:
    """A video to look at, and the folder in which what is found is kept, if any."""

    frames: Sequence[Frame]
    annotation: VideoAnnotation
    engine: Engine
    keep: Path | None


def _detect(video: _Video, rates: Sequence[float]) -> dict[tuple[float, Counting], Thinned]:
    """The pipeline's detections in the video at each rate; equal ones are computed once."""
    frames = [frame for frame in video.frames if not frame.index >= video.annotation.frames > 0]
    own = (len(frames) - 1) / (frames[-1].monotonic_time - frames[0].monotonic_time)
    gap = video.engine.manifest.gap
    known: dict[tuple[tuple[int, ...], tuple[int | None, ...]], SavedDetections] = {}
    thinned = {}
    for rate in rates:
        used = kept(len(frames), own, rate)
        for counting in COUNTINGS:
            taken = _timed([frames[index] for index in used.tolist()], counting)
            key = (tuple(used.tolist()), compared([frame.monotonic_time for frame in taken], gap))
            if key not in known:
                name = f"{rate:g}-{counting}.npz"
                known[key] = _found(replace(video, frames=taken), min(own, rate), name)
            thinned[rate, counting] = Thinned(video.annotation, used, own, known[key])
    return thinned


def _timed(frames: Sequence[Frame], counting: Counting) -> list[Frame]:
    """The frames, numbered anew; where frames are counted, each 1/25 s after the last."""
    numbered = [replace(frame, index=index) for index, frame in enumerate(frames)]
    if counting == "seconds":
        return numbered
    return [replace(frame, monotonic_time=frame.index * UNIT) for frame in numbered]


def compared(times: Sequence[float], gap: MotionGap) -> tuple[int | None, ...]:
    """For frames of these times the number of the frame that the motion map of each compares with."""
    past: list[int] = []
    found = []
    for number, now in enumerate(times):
        choice = choose([times[index] for index in past], now, gap)
        found.append(None if choice.previous is None else past[choice.previous])
        past = [*(past[index] for index in choice.kept), number]
    return tuple(found)


def _found(video: _Video, rate: float, name: str) -> SavedDetections:
    """What the network finds in the video's frames, so many a second; from the file of that `name` if it is there."""
    path = video.keep / video.annotation.name / name if video.keep else None
    if path and path.exists():
        return detection_file.load(path, dense=True)
    labels = video.engine.manifest.labels
    found = detection.joined([video.annotation.name], labels, [_run(video.frames, video.engine)]).at_rate(rate)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        detection_file.save(found, path)
    return found


def _run(frames: Sequence[Frame], engine: Engine) -> VideoDetections:
    settings = PipelineSettings(minimum_score=MIN_SCORE)
    steps = pipeline.run(frames, engine, settings, pipeline.initial("video", "benchmark"))
    return VideoDetections([result.detections for _, result, _ in steps], detector.frame_size(frames[0].image))


def kept(frames: int, own: float, rate: float) -> NDArray[np.int64]:
    """Of so many frames, `own` a second, those nearest to an even pace of `rate`; all where that is not lower."""
    if rate >= own:
        return np.arange(frames)
    nearest = np.floor(np.arange(int(frames * rate / own) + 2) * own / rate + 0.5).astype(np.int64)
    return np.unique(nearest[nearest < frames])


if __name__ == "__main__":
    main()
