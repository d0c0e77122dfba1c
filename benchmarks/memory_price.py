"""The price of a memory: processor time of the pipeline with and without, one thread, frame by frame in turns.

python -m benchmarks.memory_price WITHOUT.onnx WITH.onnx VIDEO [--frames 200], with what korsal-convert export wrote.
Processor time, not the clock's: others may run on the machine. Who is first in a turn finds the frame in no cache and
takes some 3 % longer, so that is drawn anew for each frame.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from train.open_model import open_model

WARM_UP = 20  # frames


def main() -> None:
    """Print the milliseconds of both and their ratio."""
    parser = argparse.ArgumentParser(description="Times the pipeline of two models frame by frame, in turns.")
    parser.add_argument("models", type=Path, nargs=2, help="without a memory, and with one")
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    calls = [_pipeline(open_model(path, threads=1).engine) for path in options.models]
    frames = islice(_endless(options.video), WARM_UP + options.frames)
    order = np.random.default_rng(0)
    seconds = np.array([_turn(calls, frame, order.permutation(len(calls))) for frame in frames])[WARM_UP:]
    one, other = 1000 * seconds.mean(axis=0)
    print(f"{one:.1f} ms a frame without, {other:.1f} ms with: {other / one:.3f} times as much")


def _pipeline(engine: Engine) -> Callable[[Frame], None]:
    """The daemon's step, for one camera."""
    state = pipeline.initial("camera", "benchmark")

    def step(frame: Frame) -> None:
        nonlocal state
        state, _ = pipeline.step(state, frame, engine, PipelineSettings())

    return step


def _endless(video: Path) -> Iterator[Frame]:
    """The frames of a file over and over, 25 a second."""
    index = 0
    while True:
        for frame in read_file(video, "camera"):
            yield Frame(frame.camera, index, index / 25, index / 25, frame.image)
            index += 1


def _turn(calls: Sequence[Callable[[Frame], None]], frame: Frame, order: Iterable[int]) -> list[float]:
    """The seconds of each call, made in that order."""
    seconds = {place: _processor_time(calls[place], frame) for place in order}
    return [seconds[place] for place in range(len(calls))]


def _processor_time(call: Callable[[Frame], None], frame: Frame) -> float:
    began = time.process_time()
    call(frame)
    return time.process_time() - began


if __name__ == "__main__":
    main()
