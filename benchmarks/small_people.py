"""People made small, and what a region or tiles give back: frame-mAP at 0.5, and processor time for each frame.

python -m benchmarks.small_people DATA [--size 1280x720] [--videos N] [--frames N] [--split validation] [--model FILE]

Each annotated video stands at a random place, always the same, in a larger picture: its first frame, enlarged and
blurred, which does not move. Frames are taken from just before each video's first annotated person. The region is half
as wide and half as high as the picture, around the video. All ways to look take turns at every video, so that their
times are comparable on a busy machine.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.config.config_file import SHIPPED_MODEL
from edge.detector import Detections
from edge.engines.onnxruntime_engine import load
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.shipped_files import asset_path
from edge.sources import BgrImage, Frame
from edge.tiles import Region, Tiling
from train.box_tables import FrameBoxes, numbered
from train.datasets import loader
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.evaluation.metrics import frame_curves, voc_average_precision
from train.evaluation.splits import evenly_spaced, of_split
from train.evaluation.video_evaluation import true_boxes

LEAD_IN = 5  # frames before the first annotated one, for the motion map
GRIDS = ((1, 1), (2, 1), (2, 2), (3, 2), (4, 3))  # columns, rows


@dataclass(frozen=True)
class Placement:
    """A larger picture of `size` (width, height), and the upper left corner of the video in it, pixels."""

    size: tuple[int, int]
    corner: tuple[int, int]


@dataclass
class Tally:
    """What one way to look has found so far, a table for each video, and its processor time."""

    seconds: float = 0.0
    frames: int = 0
    tables: list[FrameBoxes] = field(default_factory=list)


def main() -> None:
    """Print a line for each way to look."""
    options = _options()
    engine = load(options.model or asset_path(SHIPPED_MODEL), threads=1)
    data = loader.load(options.data)
    tallies: dict[str, Tally] = {}
    truth, heights = [], []
    with_people = [one for one in of_split(data, options.split) if one.tubes]
    for number, video in enumerate(tqdm(evenly_spaced(with_people, options.videos), disable=None)):
        true = _run_video(data, video, np.random.default_rng(number), engine, options, tallies)
        truth.append(true)
        heights.append(true.boxes[:, 3] - true.boxes[:, 1])
    _print(options, tallies, numbered(truth), float(np.median(np.concatenate(heights))), data.labels, engine)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a data set, as for korsal-evaluate --data")
    parser.add_argument("--size", type=_size, default=(1280, 720), help="of the larger picture; default: 1280x720")
    parser.add_argument("--videos", type=int, help="use so many, evenly over the classes; default: all")
    parser.add_argument("--frames", type=int, default=40, help="of each video; default: 40")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    return parser.parse_args()


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def _run_video(
    data: DataSet,
    video: VideoAnnotation,
    random: np.random.Generator,
    engine: Engine,
    options: argparse.Namespace,
    tallies: dict[str, Tally],
) -> FrameBoxes:
    """Let every way to look see the video; its ground truth in the larger picture, with frames counted from 0."""
    first = max(0, min(tube.first_frame for tube in video.tubes) - LEAD_IN)
    frames = list(
        islice(read_file(data.video(video.name), video.name), first, min(video.frames, first + options.frames))
    )
    height, width = frames[0].image.shape[:2]
    corner = (int(random.integers(options.size[0] - width + 1)), int(random.integers(options.size[1] - height + 1)))
    placement = Placement(options.size, corner)
    padded = list(_padded(frames, placement))
    for name, plain, tiling in _ways(placement, (width, height)):
        tally = tallies.setdefault(name, Tally())
        tally.tables.append(_look(frames if plain else padded, engine, tiling, tally, (0, 0) if not plain else corner))
    true = true_boxes(video.tubes, first + len(frames))
    true = true.where(true.frames >= first)
    moved = true.boxes + np.array(corner * 2, np.float32)
    return replace(true, frames=true.frames - first, boxes=moved)


def _ways(placement: Placement, video_size: tuple[int, int]) -> Iterator[tuple[str, bool, Tiling]]:
    """Name, whether it sees the video alone, and the tiling."""
    yield "the video alone, as large as in training", True, Tiling()
    for columns, rows in GRIDS:
        yield "whole" if columns * rows == 1 else f"tiles {columns}x{rows}", False, Tiling((0, 0, 1, 1), columns, rows)
    region = _region(placement, video_size)
    yield "region", False, Tiling(region)
    yield "region, tiles 2x1", False, Tiling(region, 2, 1)


def _region(placement: Placement, video_size: tuple[int, int]) -> Region:
    """Half the picture's width and height, around the video as far as the picture reaches."""
    x, y = (
        min(max((corner + side / 2) / whole - 0.25, 0), 0.5)
        for corner, side, whole in zip(placement.corner, video_size, placement.size, strict=True)
    )
    return x, y, 0.5, 0.5


def _padded(frames: list[Frame], placement: Placement) -> Iterator[Frame]:
    """The frames in the larger picture."""
    around = cv2.GaussianBlur(cv2.resize(frames[0].image, placement.size), (0, 0), placement.size[1] / 36)
    x, y = placement.corner
    for frame in frames:
        height, width = frame.image.shape[:2]
        picture: BgrImage = np.array(around, np.uint8)
        picture[y : y + height, x : x + width] = frame.image
        yield replace(frame, image=picture)


def _look(frames: list[Frame], engine: Engine, tiling: Tiling, tally: Tally, corner: tuple[int, int]) -> FrameBoxes:
    """What is found in the frames; boxes are moved by `corner`."""
    state, settings = pipeline.initial("video", "benchmark"), PipelineSettings(tiling=tiling)
    found: list[Detections] = []
    for index, frame in enumerate(frames):
        begin = time.process_time()
        state, result = pipeline.step(state, replace(frame, index=index), engine, settings)
        tally.seconds += time.process_time() - begin
        found.append(result.detections)
    tally.frames += len(frames)
    counts = [len(one.scores) for one in found]
    return FrameBoxes(
        np.repeat(np.arange(len(found)), counts),
        np.concatenate([one.labels for one in found]),
        np.concatenate([one.boxes for one in found]) + np.array(corner * 2, np.float32),
        np.concatenate([one.scores for one in found]),
    )


def _print(
    options: argparse.Namespace,
    tallies: dict[str, Tally],
    truth: FrameBoxes,
    height: float,
    labels: tuple[str, ...],
    engine: Engine,
) -> None:
    frames = tallies["whole"].frames
    print(
        f"{len(tallies['whole'].tables)} {options.split} videos of {options.data.name}, {frames} frames in "
        f"{options.size[0]}x{options.size[1]}; people {height:.0f} pixels high (median); {engine.manifest.name} "
        f"{engine.manifest.precision}, {engine.manifest.width}x{engine.manifest.height}"
    )
    print(f"{'':42}{'frame-mAP@0.5':>14}{'ms of processor':>17}{'times whole':>13}")
    whole = tallies["whole"].seconds / tallies["whole"].frames
    for name, tally in tallies.items():
        curves = frame_curves(numbered(tally.tables), truth, len(labels))
        score = np.nanmean([voc_average_precision(one) for one in curves])
        each = tally.seconds / tally.frames
        print(f"{name:42}{100 * score:14.1f}{1000 * each:17.1f}{each / whole:13.2f}")


if __name__ == "__main__":
    main()
