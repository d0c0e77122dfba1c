"""How much of annotated people `korsal-train propose` finds, with one detector and another.

    python -m benchmarks.proposals DATA DETECTOR.onnx [DETECTOR.onnx ...] [--split test] [--videos N] [--actions …]

Of each detector, percent: the annotated boxes on which a proposed one lies with an IoU of at least 0.5; the annotated
tubes of which one track covers four fifths so, which need few corrections; and tracks a video, annotated tubes beside
it: what is more is to be deleted, unless it is somebody who does nothing that is annotated.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convert.project import person_tracks, propose
from convert.project.propose import Finder, ProposeOptions
from edge import model_files
from edge.boxes import iou
from edge.cameras.video_file import probe
from edge.terminal.arguments import with_commas
from train.datasets import loader
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.cvat_writer import Track
from train.evaluation.splits import evenly_spaced, of_split

CLOSE = 0.5  # IoU
WHOLE = 0.8  # of a tube's frames


@dataclass
class Counts:
    """What was annotated in the videos so far, and what was found of it."""

    videos: int = 0
    boxes: int = 0
    found: int = 0
    tubes: int = 0
    whole: int = 0
    tracks: int = 0

    def add(self, tubes: list[GroundTruthTube], tracks: tuple[Track, ...]) -> None:
        """One video."""
        self.videos += 1
        self.tracks += len(tracks)
        for tube in tubes:
            close = np.array([_close(tube, track) for track in tracks]).reshape(len(tracks), len(tube.boxes))
            self.tubes += 1
            self.boxes += len(tube.boxes)
            self.found += int(close.any(axis=0).sum())
            self.whole += bool(close.mean(axis=1).max(initial=0) >= WHOLE)


def _close(tube: GroundTruthTube, track: Track) -> np.ndarray:
    """(n,) bool: in which frames of the tube the track lies on it."""
    begin, end = max(tube.first_frame, track.first), min(tube.end_frame, track.first + len(track.boxes))
    close = np.zeros(len(tube.boxes), np.bool_)
    if begin < end:
        one, other = tube.boxes[begin - tube.first_frame : end - tube.first_frame], track.boxes[begin - track.first :]
        overlaps = [iou(a[None], b[None])[0, 0] for a, b in zip(one, other, strict=False)]
        close[begin - tube.first_frame : end - tube.first_frame] = np.array(overlaps) >= CLOSE
    return close


def counted(data: DataSet, videos: list[VideoAnnotation], actions: set[str], find: Finder, title: str) -> Counts:
    """Look for people in these videos, and compare with the tubes of these actions."""
    counts = Counts()
    for video in tqdm(videos, title, leave=False):
        path = data.video(video.name)
        info = probe(path)
        tracks = person_tracks.tracks(find(path), info.size, info.fps or 25.0, {})
        counts.add([tube for tube in video.tubes if data.labels[tube.label] in actions], tracks)
    return counts


def main() -> None:
    """Print a row for each detector."""
    options = _parser().parse_args()
    data = loader.load(options.data)
    actions = set(options.actions or data.labels)
    those = of_split(data, options.split)
    shown = [video for video in those if any(data.labels[tube.label] in actions for tube in video.tubes)]
    videos = list(evenly_spaced(shown, options.videos))
    print("| detector | boxes found, % | tubes found nearly whole, % | tracks a video | annotated tubes |")
    print("|---|--:|--:|--:|--:|")
    for path in options.detectors:
        named = model_files.read(path)
        with propose.finder(ProposeOptions(path, threads=1), named.manifest if named else None) as find:
            one = counted(data, videos, actions, find, path.stem)
        shares = f"{100 * one.found / one.boxes:.1f} | {100 * one.whole / one.tubes:.1f}"
        print(f"| {path.stem} | {shares} | {one.tracks / one.videos:.1f} | {one.tubes / one.videos:.1f} |", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How much of annotated people `propose` finds.")
    add = parser.add_argument
    add("data", type=Path, help="a data set, as korsal-train takes it")
    add("detectors", type=Path, nargs="+", help="ONNX files, as `korsal-train propose --detector` takes them")
    add("--split", choices=("test", "train", "validation"), default="test", help="default: %(default)s")
    add("--videos", type=int, help="so many of them, evenly spaced; default: all")
    add("--actions", type=with_commas(str), help="whose people are to be found; default: all")
    return parser


if __name__ == "__main__":
    main()
