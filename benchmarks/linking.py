"""How good the linkers are: jittered ground truth of UCF101-24, or saved detections, the same for all of them.

    python -m benchmarks.linking shared/data/ucf24/pyannot.pkl [--videos 910] [--seed 0]
    python -m benchmarks.linking DATA --detections detections.npz [--split validation]

Prints a row for each linker, in percent: video-mAP at overlaps of 0.2, 0.5, 0.75 and 0.5 to 0.95, frame-mAP at 0.5 of
the boxes as they were published live, and the share of true boxes that a tube of their class covers by half; tubes,
identity switches and breaks for each true tube; milliseconds of processor time a frame.
With `--videos N` every so-manieth test video is taken, so that all classes are among them.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.jitter import Jitter, detections
from edge import korsal_linker, linker
from edge.boxes import clip
from edge.detector import Detections
from edge.linker import LinkerSettings
from edge.tubes import Sighting
from train import datasets, detection_file
from train.annotations import DataSet, VideoAnnotation
from train.counting import PROTOCOLS
from train.detection_file import SavedDetections
from train.evaluate import of_split
from train.identity import IdentityCounts, identity_counts
from train.observation import linked_boxes, true_boxes, true_tubes
from train.scoring import VideoResult, report
from train.tables import Tube, joined
from train.temporal_labelling import trimmed_by_own_score

TRIMMED = "korsal-trimmed"
WHOLE = "default-patient"  # waits twice as long for who is hidden, and cuts by the absolute score alone


def linkers() -> dict[str, LinkerSettings]:
    """What is compared."""
    known = {name: LinkerSettings(kind="korsal", korsal=one) for name, one in korsal_linker.VARIANTS.items()}
    ours = LinkerSettings()
    whole = replace(ours, max_missed=30, cut=replace(ours.cut, keep_share=0))
    return {**known, TRIMMED: known["korsal"], "default": ours, WHOLE: whole}


@dataclass(frozen=True, eq=False)
class Watched:
    """One video through one linker."""

    result: VideoResult
    identity: IdentityCounts
    frames: int
    seconds: float  # of processor time


def watch(
    name: str, settings: LinkerSettings, found: Sequence[Detections], video: VideoAnnotation, classes: int
) -> Watched:
    """Link a video frame after frame and hold it to the truth."""
    state = linker.initial()
    history: list[Sighting] = []
    begin = time.process_time()
    for frame, one in enumerate(found):
        state, boxes = linker.step(state, one, frame, settings)
        history += [(frame, tube_box) for tube_box in boxes]
    paths = linker.action_tubes(history, settings)
    seconds = time.process_time() - begin
    if name == TRIMMED:
        paths = trimmed_by_own_score(paths)
    width, height = video.size or (320, 240)
    tubes = tuple(
        Tube(0, path.label, path.score, int(path.frames[0]), clip(path.boxes, width, height)) for path in paths
    )
    truth = true_tubes(video.tubes, len(found))
    linked = linked_boxes(history, np.arange(classes))
    result = VideoResult(joined([]), linked, true_boxes(video.tubes, len(found)), tubes, truth)
    return Watched(result, identity_counts(tubes, truth), len(found), seconds)


def row(name: str, watched: Sequence[Watched], labels: Sequence[str]) -> str:
    """The table's line of one linker."""
    whole = report([one.result for one in watched], labels, PROTOCOLS["plain"])
    counts = sum((one.identity for one in watched), IdentityCounts())
    truths = sum(len(one.result.true_tubes) for one in watched)
    frames = sum(one.frames for one in watched)
    figures = [f"{100 * value:.1f}" for value in (*whole.video_map.values(), whole.linked_frame_map)]
    figures += [f"{sum(len(one.result.tubes) for one in watched) / truths:.1f}"]
    figures += [f"{100 * counts.found / counts.frames:.1f}", f"{counts.switches / truths:.2f}"]
    figures += [f"{counts.breaks / truths:.2f}", f"{1000 * sum(one.seconds for one in watched) / frames:.2f}"]
    return f"| {' | '.join([name, *figures])} |"


def jittered(data: DataSet, seed: int) -> Callable[[VideoAnnotation], list[Detections]]:
    """Each video's made-up detections, the same whatever other videos are taken."""
    return lambda video: detections(
        video, len(data.labels), Jitter(), np.random.default_rng([seed, *video.name.encode()])
    )


def saved(found: SavedDetections, labels: Sequence[str]) -> Callable[[VideoAnnotation], list[Detections]]:
    """Each video's saved detections, frame by frame; the file's classes must be those of the data."""
    if found.label_names != tuple(labels) or found.class_scores is None:
        raise SystemExit("the file has other classes than the data, or no class_scores; write it with detect")
    dense, order = found.class_scores, np.lexsort((-found.scores, found.frames, found.video))

    def of_video(video: VideoAnnotation) -> list[Detections]:
        rows = order[found.video[order] == found.video_names.index(video.name)]
        bounds = np.searchsorted(found.frames[rows], np.arange(video.frames + 1))
        parts = [rows[begin:end] for begin, end in pairwise(bounds.tolist())]
        return [Detections(found.boxes[part], found.scores[part], found.labels[part], dense[part]) for part in parts]

    return of_video


def main() -> None:
    """Watch all videos through all linkers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a data set, or its ground truth alone")
    parser.add_argument("--detections", type=Path, help="of `korsal-evaluate detect`, instead of jittered truth")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--videos", type=int, help="so many of them, evenly spread")
    parser.add_argument("--linkers", nargs="+", choices=tuple(linkers()), default=tuple(linkers()))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = datasets.load(options.data)
    every = of_split(data, options.split)
    source = jittered(data, options.seed)
    if options.detections:
        found = detection_file.load(options.detections, dense=True)
        every = tuple(video for video in every if video.name in found.video_names)
        source = saved(found, data.labels)
    count = min(options.videos or len(every), len(every))
    videos = [every[place * len(every) // count] for place in range(count)]
    chosen = {name: settings for name, settings in linkers().items() if name in options.linkers}
    watched: dict[str, list[Watched]] = {name: [] for name in chosen}
    for video in videos:
        seen = source(video)
        for name, settings in chosen.items():
            watched[name].append(watch(name, settings, seen, video, len(data.labels)))
    if not videos:
        raise SystemExit("no video of this split is in the file; give the --split that it was made of")
    print(f"{len(videos)} of {len(every)} videos, {sum(one.frames for one in videos)} frames\n")
    print("| linker | @0.2 | @0.5 | @0.75 | @0.5:0.95 | frame-mAP | tubes | found | switches | breaks | ms a frame |")
    print(f"|---{'|--:' * 10}|")
    for name, one in watched.items():
        print(row(name, one, data.labels), flush=True)


if __name__ == "__main__":
    main()
