"""Compares all linkers on the same detections: jittered ground truth of UCF101-24, or saved ones.

    python -m benchmarks.linking shared/data/ucf24/pyannot.pkl [--videos 910] [--seed 0] [--jobs 2]
    python -m benchmarks.linking DATA --detections detections.npz [--split validation]

Prints two rows for each linker. In percent: video-mAP at overlaps of 0.2, 0.5, 0.75 and 0.5 to 0.95, frame-mAP at 0.5
of the boxes as they were published live, the share of true boxes that a tube of their class covers by half, and IDF1;
tubes, identity switches and breaks for each true tube; milliseconds of processor time a frame. Then of the daemon's
events: median frames to `new` and to `end`, recall of true tubes, the share of those due that ended, and false events
an hour. `--videos N` takes N test videos evenly from the list, so that all classes are among them. All videos count as
25 frames a second, whatever their files say, as UCF101 and J-HMDB are published.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import iou_tracker
from benchmarks.identity import IdentityCounts, identity_counts
from benchmarks.iou_tracker import TrackerState
from benchmarks.jitter import Jitter, detections
from benchmarks.temporal_labelling import trimmed_by_own_score
from benchmarks.timing import Delays, delays, median_delay, published_events
from edge import linker
from edge.boxes import clip
from edge.detector import Detections
from edge.motion_gap import REFERENCE_RATE
from edge.tubes import TubeBox
from train.box_tables import Tube, joined
from train.datasets import loader
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.evaluation import detection_file
from train.evaluation.action_lengths import ActionLengths, typical_lengths, with_lengths
from train.evaluation.action_tubes import ActionTube
from train.evaluation.detection_file import SavedDetections
from train.evaluation.linking import LINKING_METHODS, LinkingMethod
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.report import VideoResult, score_videos
from train.evaluation.splits import of_split
from train.evaluation.video_evaluation import in_annotated_frames, linked_boxes, true_boxes, true_tubes

LinkedTubes = tuple[list[tuple[TubeBox, ...]], list[ActionTube]]  # live in each frame, and the action tubes
LinkVideo = Callable[[Sequence[Detections]], LinkedTubes]
Source = Callable[[VideoAnnotation], list[Detections]]
HEAD = (
    "| linker | @0.2 | @0.5 | @0.75 | @0.5:0.95 | frame-mAP | found | IDF1 | tubes | switches | breaks | ms a frame |",
    "| linker | frames to `new` | recall | frames to `end` | ended | false events an hour |",
)


def rules(lengths: ActionLengths, labels: Sequence[str]) -> dict[str, LinkVideo]:
    """What is compared: `default` knows how long the actions of the training part last, `default-alone` does not."""
    known: dict[str, LinkVideo] = {name: partial(linked, method) for name, method in LINKING_METHODS.items()}
    informed = partial(linked, with_lengths(LINKING_METHODS["default"], lengths, labels))
    return {**known, "default": informed, "default-alone": known["default"], "korsal-trimmed": trimmed, "iou": tracked}


def linked(method: LinkingMethod, found: Sequence[Detections]) -> LinkedTubes:
    """A video by a linker of `edge`."""
    state = linker.initial()
    live: list[tuple[TubeBox, ...]] = []
    for frame, one in enumerate(found):
        state, boxes = method.linker.step(state, one, frame / REFERENCE_RATE)
        live.append(boxes)
    return live, method.action_tubes(_history(live))


def trimmed(found: Sequence[Detections]) -> LinkedTubes:
    """A video by `korsal`, its paths cut by two states and their own score."""
    live, paths = linked(LINKING_METHODS["korsal"], found)
    return live, trimmed_by_own_score(paths)


def tracked(found: Sequence[Detections]) -> LinkedTubes:
    """A video by the plain IoU tracker."""
    state = TrackerState()
    live: list[tuple[TubeBox, ...]] = []
    for one in found:
        state, boxes = iou_tracker.step(state, one)
        live.append(boxes)
    return live, iou_tracker.action_tubes(_history(live))


def _history(live: Sequence[Sequence[TubeBox]]) -> list[tuple[int, TubeBox]]:
    return [(frame, tube_box) for frame, tube_boxes in enumerate(live) for tube_box in tube_boxes]


@dataclass(frozen=True, eq=False)
class LinkerResult:
    """One video through one linker."""

    result: VideoResult
    identity: IdentityCounts
    delays: Delays
    frames: int
    seconds: float  # of processor time


def evaluated(
    link: LinkVideo, found: Sequence[Detections], video: VideoAnnotation, labels: Sequence[str]
) -> LinkerResult:
    """Link a video frame by frame and compare it with the truth."""
    begin = time.process_time()
    live, paths = link(found)
    seconds = time.process_time() - begin
    size = video.size or (320, 240)
    tubes = tuple(Tube(0, path.label, path.score, int(path.frames[0]), clip(path.boxes, *size)) for path in paths)
    truth = true_tubes(video.tubes, len(found))
    boxes = linked_boxes(_history(live), np.arange(len(labels)))
    whole = VideoResult(joined([]), boxes, true_boxes(video.tubes, len(found)), tubes, truth)
    result = in_annotated_frames(whole, video.annotated_frames)
    late = delays(published_events(live, labels, size), live, truth)
    return LinkerResult(result, identity_counts(result.tubes, result.true_tubes), late, len(found), seconds)


def rows(name: str, videos: Sequence[LinkerResult], labels: Sequence[str], protocol: str) -> tuple[str, str]:
    """The lines of one linker in both tables."""
    whole = score_videos([one.result for one in videos], labels, PROTOCOLS[protocol])
    counts = sum((one.identity for one in videos), IdentityCounts())
    late = sum((one.delays for one in videos), Delays())
    truths = sum(len(one.result.true_tubes) for one in videos)
    frames = sum(one.frames for one in videos)
    shares = (*whole.video_map.values(), whole.linked_frame_map, counts.covered / counts.frames, counts.idf1)
    figures = [f"{100 * value:.1f}" for value in shares]
    figures += [f"{sum(len(one.result.tubes) for one in videos) / truths:.1f}"]
    figures += [f"{counts.switches / truths:.2f}", f"{counts.breaks / truths:.2f}"]
    figures += [f"{1000 * sum(one.seconds for one in videos) / frames:.2f}"]
    delayed = [
        _late(late.begins),
        _share(late.begins),
        _late(late.ends),
        _share(late.ends),
        f"{late.false_per_hour:.0f}",
    ]
    return f"| {' | '.join([name, *figures])} |", f"| {' | '.join([name, *delayed])} |"


def _late(values: Sequence[int | None]) -> str:
    """The median; a dash where fewer than half were published."""
    return f"{median_delay(values):.0f}" if np.isfinite(median_delay(values)) else "–"


def _share(values: Sequence[int | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * len(known) / len(values):.0f} % of {len(values)}" if values else "–"


def jittered(classes: int, seed: int, video: VideoAnnotation) -> list[Detections]:
    """A video's made-up detections, the same whatever other videos are taken."""
    return detections(video, classes, Jitter(), np.random.default_rng([seed, *video.name.encode()]))


def saved(found: SavedDetections, labels: Sequence[str]) -> Source:
    """Each video's saved detections, frame by frame; the file's classes must be those of the data."""
    if found.label_names != tuple(labels) or found.class_scores is None:
        raise SystemExit("the file has other classes than the data, or no class_scores; write it with detect")
    order = np.lexsort((-found.scores, found.frames, found.video))
    return partial(_of_video, found, order)


def _of_video(found: SavedDetections, order: np.ndarray, video: VideoAnnotation) -> list[Detections]:
    dense = found.class_scores
    assert dense is not None
    rows = order[found.video[order] == found.video_names.index(video.name)]
    bounds = np.searchsorted(found.frames[rows], np.arange(video.frames + 1))
    parts = [rows[begin:end] for begin, end in pairwise(bounds.tolist())]
    return [Detections(found.boxes[part], found.scores[part], found.labels[part], dense[part]) for part in parts]


def by_all_linkers(
    source: Source, names: Sequence[str], lengths: ActionLengths, labels: Sequence[str], video: VideoAnnotation
) -> list[LinkerResult]:
    """One video through the named linkers."""
    found, known = source(video), rules(lengths, labels)
    return [evaluated(known[name], found, video, labels) for name in names]


def chosen(options: argparse.Namespace) -> tuple[DataSet, Source, tuple[VideoAnnotation, ...]]:
    """The data, where detections come from, and the videos that have some."""
    data = loader.load(options.data)
    every = of_split(data, options.split)
    if not options.detections:
        return data, partial(jittered, len(data.labels), options.seed), every
    found = detection_file.load(options.detections, dense=True)
    every = tuple(video for video in every if video.name in found.video_names)
    return data, saved(found, data.labels), every


def main() -> None:
    """Run all videos through all linkers and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = tuple(rules({}, ()))
    parser.add_argument("data", type=Path, help="folder of a data set, or its ground truth alone")
    parser.add_argument("--detections", type=Path, help="of `korsal-evaluate detect`, instead of jittered truth")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test")
    parser.add_argument("--videos", type=int, help="how many of them, evenly spread")
    parser.add_argument("--linkers", nargs="+", choices=names, default=names)
    parser.add_argument("--protocol", choices=tuple(PROTOCOLS), default="plain", help="how video-mAP is counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="videos at a time")
    options = parser.parse_args()
    data, source, every = chosen(options)
    count = min(options.videos or len(every), len(every))
    videos = [every[place * len(every) // count] for place in range(count)]
    if not videos:
        raise SystemExit("no video of this split is in the file; give the --split that it was made of")
    lengths = typical_lengths(data)
    run = partial(by_all_linkers, source, options.linkers, lengths, data.labels)
    with ProcessPoolExecutor(options.jobs) as pool:
        by_video = list(pool.map(run, videos) if options.jobs > 1 else map(run, videos))
    print(f"{len(videos)} of {len(every)} videos, {sum(one[0].frames for one in by_video)} frames")
    tables = [
        rows(name, one, data.labels, options.protocol)
        for name, one in zip(options.linkers, zip(*by_video, strict=True), strict=True)
    ]
    for head, lines in zip(HEAD, zip(*tables, strict=True), strict=True):
        print("", head, f"|---{'|--:' * (head.count('|') - 2)}|", *lines, sep="\n", flush=True)


if __name__ == "__main__":
    main()
