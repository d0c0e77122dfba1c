"""What `clip_every` saves: processor time of a frame in the pipeline, by how often `yowo_lite` maps its clip anew.

python -m benchmarks.clip_every [--rounds 10] [--frames 8]. Random weights, which change no time but find nobody; one
thread, ONNX Runtime, FP32. All take turns within a round, so that what else the machine does falls on all alike.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
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
        streams = [_Stream(engine) for engine in _engines(Path(folder), options.frames)]
    rounds = np.array([[one.seconds() for one in streams] for _ in range(1 + options.rounds)])[1:]
    for every, column in zip(EVERY, rounds.T, strict=True):
        ratio = float(np.median(column / rounds[:, 0]))
        print(f"a map every {every} frames {1000 * np.median(column):7.1f} ms a frame, {ratio:.2f} of the first's")


def _engines(folder: Path, frames: int) -> Iterator[Engine]:
    torch.manual_seed(0)
    manifest = Manifest("random", LABELS, HEIGHT, WIDTH, MotionSettings("none"), architecture=YOWO_LITE)
    manifest = replace(manifest, clip=ClipInput(frames), nms_iou=0.4)
    network = YowoLite(len(LABELS), ALL_PARTS)
    checkpoints.save(Checkpoint(manifest, network.state_dict(), {}), folder / "random.pt")
    export(checkpoints.load(folder / "random.pt"), folder / "random.onnx")
    for every in EVERY:
        model, known = onnx_file.read(folder / "random.onnx")
        assert known.clip is not None
        onnx_file.write(model, replace(known, clip=replace(known.clip, every=every)), folder / f"{every}.onnx")
        yield onnxruntime_engine.load(folder / f"{every}.onnx", threads=1)


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
