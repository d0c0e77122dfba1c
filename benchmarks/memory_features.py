"""MoViNet's features of every n-th frame of a data set's training videos: of the whole picture, and around the person.

python -m benchmarks.memory_features movinet_a0_stream.onnx DATA FOLDER [--every 4], with the file that
python -m convert.movinet_export wrote. Each video gives FOLDER/<name>.npz; those that are there are left as they are.
`benchmarks.memory_probe` learns from them. Test videos are not read.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.movinet import Stream
from edge.cameras.video_file import read_file
from edge.streaming_memory import picture
from edge.terminal.progress import Progress
from train.datasets.annotation_records import VideoAnnotation, at
from train.datasets.loader import load


def main() -> None:
    """Write the features of all training videos."""
    parser = argparse.ArgumentParser(description="Writes MoViNet's features of a data set's training videos.")
    parser.add_argument("movinet", type=Path, help="what python -m convert.movinet_export wrote")
    parser.add_argument("data", type=Path, help="UCF101-24 or J-HMDB-21")
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--every", type=int, default=4, help="of so many frames one is looked at")
    options = parser.parse_args()
    data, stream = load(options.data), Stream(options.movinet)
    with Progress("features", "video", len(data.train)) as progress:
        for video in data.train:
            target = options.folder / f"{video.name}.npz"
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(target, video, feature_maps(stream, data.video(video.name), options.every))
            progress.update()


def feature_maps(stream: Stream, path: Path, every: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each looked-at frame's number and feature map; the stream sees these frames alone."""
    stream.forget()
    for frame in read_file(path, "video"):
        if frame.index % every == 0:
            yield frame.index, stream.step(picture(frame.image, stream.size[0]))


def _write(target: Path, video: VideoAnnotation, maps: Iterator[tuple[int, NDArray[np.float32]]]) -> None:
    """(n, 480) of the whole picture and around the person, n frame numbers."""
    found = [(number, one.mean(axis=(1, 2)), around_person(video, number, one)) for number, one in maps]
    frames, whole, person = (np.stack(column) for column in zip(*found, strict=True))
    np.savez(target, frames=frames, whole=whole, person=person)


def around_person(video: VideoAnnotation, frame: int, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of a feature map (C, h, w) within the annotated boxes: (C,).

    In a frame without any, within those of the annotated frame that is nearest in time.
    """
    boxes, _ = at(video, frame)
    if not len(boxes):
        annotated = {number for tube in video.tubes for number in (tube.first_frame, tube.end_frame - 1)}
        boxes, _ = at(video, min(sorted(annotated), key=lambda number: abs(number - frame)))
    assert video.size is not None
    share = np.mean([shares(box, features.shape[1:], video.size) for box in boxes], axis=0)
    return np.asarray((features * share).sum(axis=(1, 2)), np.float32)


def shares(box: NDArray[np.float32], grid: tuple[int, ...], size: tuple[int, int]) -> NDArray[np.float64]:
    """The share of a box that lies in each cell of a grid (rows, columns) over a picture of that size: sums up to 1."""
    columns, rows = (
        np.diff(np.clip(np.linspace(0, length, cells + 1), low, high))
        for low, high, cells, length in zip(box[:2], box[2:], grid[::-1], size, strict=True)
    )
    shares = np.outer(rows, columns)
    return shares / shares.sum() if shares.sum() else np.full(grid, 1 / shares.size)


if __name__ == "__main__":
    main()
