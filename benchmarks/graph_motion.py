"""Times models that fit and compare frames in their own graph against the CPU's preparation in front of the network.

python -m benchmarks.graph_motion [MODEL ...] [--video VIDEO] [--frames N] [--processor-time]

On the CPU in ONNX Runtime with one thread, frame by frame in turns. A MODEL that takes prepared input gets its
preprocessing for this run.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from convert import onnx_file
from convert.graft_file import graft_file
from edge.cameras.video_file import read_file
from edge.commands.demo import CLIP
from edge.config.config_file import SHIPPED_MODEL
from edge.engines import onnxruntime_engine
from edge.inference import Engine, NetworkFrame, run_network
from edge.shipped_files import asset_path
from edge.sources import Frame

WARM_UP = 5  # frames
COLUMNS = (
    f"{'model':<34}{'graph ms':>10}{'p95':>8}{'outside ms':>12}{'p95':>8}{'slower':>8}  largest difference of maps"
)


class Way:
    """One engine on a stream of frames."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.seconds: list[float] = []
        self.motion: np.ndarray | None = None
        self._engine, self._clock, self._state = engine, clock, None

    def step(self, frame: Frame) -> None:
        """Run on the next frame, and keep how long it took and the motion map."""
        manifest = self._engine.manifest
        given = NetworkFrame(frame.image, frame.monotonic_time, manifest.motion, manifest.gap, self._state)
        began = self._clock()
        (result,) = run_network(self._engine, [given], lambda stage: None)
        self.seconds.append(self._clock() - began)
        self._state, self.motion = result.motion_state, result.motion()


def compare(path: Path, frames: list[Frame], clock: Callable[[], float]) -> str:
    """A line about one model, which has its preprocessing inside."""
    inside = Way(onnxruntime_engine.load(path, threads=1, preprocessing="graph"), clock)
    outside = Way(onnxruntime_engine.load(path, threads=1), clock)
    difference = 0.0
    for frame in frames:
        inside.step(frame)
        outside.step(frame)
        if inside.motion is not None and outside.motion is not None:
            difference = max(difference, float(np.abs(inside.motion - outside.motion).max()))
    graph, cpu = (1000 * np.array(way.seconds[WARM_UP:]) for way in (inside, outside))
    return (
        f"{path.stem:<34}{np.median(graph):10.1f}{np.percentile(graph, 95):8.1f}"
        f"{np.median(cpu):12.1f}{np.percentile(cpu, 95):8.1f}{np.median(graph / cpu):8.2f}  {difference:.1e}"
    )


def with_graph(path: Path, folder: Path) -> Path:
    """The model with its preprocessing inside: the file itself, or one made of it in `folder`."""
    _, manifest = onnx_file.read(path)
    if manifest.preprocessing == "graph":
        return path
    graft_file(path, made := folder / path.name)
    return made


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help=".onnx; default: the shipped FP32 one")
    parser.add_argument("--video", type=Path, default=asset_path(CLIP))
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--processor-time", action="store_true", help="instead of wall-clock time, for a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    frames = list(islice(read_file(options.video, "benchmark"), WARM_UP + options.frames))
    if len(frames) <= WARM_UP:
        parser.error(f"{options.video} has no more than {WARM_UP} frames: give a longer video")
    print(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for path in options.models or [asset_path(SHIPPED_MODEL)]:
            print(compare(with_graph(path, Path(folder)), frames, clock), flush=True)


if __name__ == "__main__":
    main()
