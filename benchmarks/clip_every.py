"""What `clip_every` saves: processor time of a frame in the pipeline, by how often `yowo_lite` maps its clip anew.

python -m benchmarks.clip_every [--rounds 10] [--frames 8]. Random weights, which change no time but find nobody; one
thread, ONNX Runtime, FP32. All take turns within a round, so that what else the machine does falls on all alike.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import torch

from convert import onnx_file
from convert.export import export
from edge import pipeline
from edge.clip import ClipInput
from edge.engines import onnxruntime_engine
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from edge.pipeline import PipelineSettings, PipelineState
from edge.sources import Frame
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.networks.yowo.fusion import ALL_PARTS
from train.networks.yowo.lite import YowoLite
from train.networks.yowo.names import YOWO_LITE

EVERY = (1, 2, 4, 8)
TIMED = 8  # frames in a row, which every one of EVERY divides
HEIGHT, WIDTH = 224, 288  # of the shipped model's input
LABELS = tuple(f"action {index}" for index in range(24))
SETTINGS = PipelineSettings()


def main() -> None:
    """Print milliseconds a frame and how they compare with a map for every frame."""
    parser = argparse.ArgumentParser(description="Times yowo_lite with a map of its clip every n frames, one thread.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--frames", type=int, default=8, help="of a clip (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prices = prices_of([*_engines(Path(folder), options.frames)], options.rounds)
    for every, price in zip(EVERY, prices, strict=True):
        print(f"a map every {every} frames {price.milliseconds:7.1f} ms a frame, {price.ratio:.2f} of the first's")


@dataclass(frozen=True)
class Price:
    """Of a model: processor time of a frame in the pipeline, and its share of the first model's in the same round."""

    milliseconds: float
    ratio: float


def prices_of(engines: Sequence[Engine], rounds: int) -> list[Price]:
    """Of each, the medians over rounds in which all take turns; a first round is left out."""
    streams = [_Stream(engine) for engine in engines]
    seconds = np.array([[one.seconds() for one in streams] for _ in range(1 + rounds)])[1:]
    ratios = seconds / seconds[:, :1]
    return [Price(1000 * float(np.median(x)), float(np.median(y))) for x, y in zip(seconds.T, ratios.T, strict=True)]


def _engines(folder: Path, frames: int) -> Iterator[Engine]:
    torch.manual_seed(0)
    manifest = Manifest("random", LABELS, HEIGHT, WIDTH, MotionSettings("none"), architecture=YOWO_LITE)
    manifest = replace(manifest, clip=ClipInput(frames), nms_iou=0.4)
    network = YowoLite(len(LABELS), ALL_PARTS)
    checkpoints.save(Checkpoint(manifest, network.state_dict(), {}), folder / "random.pt")
    export(checkpoints.load(folder / "random.pt"), folder / "random.onnx")
    for every in EVERY:
        yield with_every(folder / "random.onnx", every)


def with_every(path: Path, every: int) -> Engine:
    """A model that sees clips, written anew beside itself with a map every so many frames; one thread."""
    model, known = onnx_file.read(path)
    assert known.clip is not None
    changed = path.with_name(f"{path.stem}-every{every}.onnx")
    onnx_file.write(model, replace(known, clip=replace(known.clip, every=every)), changed)
    return onnxruntime_engine.load(changed, threads=1)


@dataclass(eq=False)
class _Stream:
    """A camera of 25 frames a second, of noise."""

    engine: Engine

    def __post_init__(self) -> None:
        self._state: PipelineState = pipeline.initial("camera", "seed")
        self._numbers = count()
        random = np.random.default_rng(0)
        self._images = [random.integers(0, 255, (480, 640, 3), dtype=np.uint8) for _ in range(TIMED)]

    def seconds(self) -> float:
        """Processor time of a frame, of TIMED in a row."""
        began = time.process_time()
        for image in self._images:
            at = next(self._numbers)
            frame = Frame("camera", at, at / 25, at / 25, image)
            self._state, _ = pipeline.step(self._state, frame, self.engine, SETTINGS)
        return (time.process_time() - began) / TIMED


if __name__ == "__main__":
    main()
