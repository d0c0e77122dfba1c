"""Compare, on a machine with TensorRT, the three ways to prepare frames: the model's graph, cv2.cuda and the CPU.

    python benchmarks/gpu/preprocessing.py MODEL.onnx VIDEO

MODEL.onnx comes from `korsal-convert export --with-motion`. Prints, for each way that works here, the time of a frame
and the largest differences of scores and motion map from the CPU's. It has not run on a GPU yet.
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np

from edge import inference
from edge.cameras.video_file import read_file
from edge.config.schema import ModelConfig
from edge.inference import EngineError, NetworkFrame
from edge.motion_gap import MotionGap
from edge.open_model import open_at_terminal

WARM_UP = 20  # frames that are not timed


def main() -> None:
    """Run each way over the same frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    given = parser.parse_args()
    try:
        reference = measured(given.model, given.video, given.frames, "cpu")
    except EngineError as error:
        parser.error(str(error))
    for way in ("cpu", "cuda", "graph"):
        try:
            scores, maps, milliseconds = measured(given.model, given.video, given.frames, way)
        except EngineError as error:
            print(f"{way:6} does not run here: {error}")
            continue
        print(
            f"{way:6} {milliseconds:7.2f} ms a frame (median); from the CPU's: scores "
            f"{np.abs(scores - reference[0]).max():.2g}, motion map {np.abs(maps - reference[1]).max(initial=0):.2g}"
        )


def measured(model: Path, video: Path, count: int, way: str) -> tuple[np.ndarray, np.ndarray, float]:
    """The scores and motion maps of all frames, and the median time of one, ms."""
    settings = ModelConfig(path=model.absolute(), runtime="tensorrt", preprocessing=way)  # type: ignore[arg-type]
    scores, maps, times, state = [], [], [], None
    with open_at_terminal(settings, Path("benchmark-engines")) as engine:
        manifest = engine.manifest
        gap = MotionGap(manifest.motion.gap / manifest.rate, manifest.rate)
        for frame in islice(read_file(video, "benchmark"), count):
            given = NetworkFrame(frame.image, frame.monotonic_time, manifest.motion, gap, state)
            begin = time.perf_counter()
            (result,) = inference.run_network(engine, [given], lambda stage: None)
            times.append(time.perf_counter() - begin)
            state = result.motion_state
            scores.append(result.outputs["scores"])
            motion = result.motion()
            maps.append(np.zeros(0) if motion is None else motion)
    return np.stack(scores), np.stack(maps), 1000 * float(np.median(times[WARM_UP:] or times))


if __name__ == "__main__":
    main()
