"""The price of MoViNet beside the detector's: processor time of one frame in ONNX Runtime, one thread, in turns.

python -m benchmarks.movinet movinet_a0_stream.onnx [--model MODEL] [--rounds 200], with the file that
python -m convert.movinet_export wrote. Processor time, not the clock's: others may run on the machine.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from convert.movinet_export import MEMORY, NEXT_MEMORY
from edge.config.config_file import SHIPPED_MODEL
from edge.engines import onnxruntime_engine
from edge.manifest import INPUT, input_shape
from edge.memory_network import FEATURES
from edge.shipped_files import asset_path

WARM_UP = 10
INTERVALS = (1, 2, 4)  # MoViNet on every n-th frame


def main() -> None:
    """Print the milliseconds of both and what MoViNet adds to the detector's."""
    parser = argparse.ArgumentParser(description="Times MoViNet beside the detector, one frame, one thread.")
    parser.add_argument("movinet", type=Path, help="what python -m convert.movinet_export wrote")
    parser.add_argument("--model", type=Path, default=asset_path(SHIPPED_MODEL), help="default: the shipped one")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    calls = (_detector(options.model), _stream(options.movinet))
    seconds = np.array([[_processor_time(call) for call in calls] for _ in range(WARM_UP + options.rounds)])[WARM_UP:]
    detector, movinet = 1000 * np.median(seconds, axis=0)
    ratio = float(np.median(seconds[:, 1] / seconds[:, 0]))
    print(f"detector {detector:.1f} ms, MoViNet {movinet:.1f} ms, {ratio:.3f} of the detector's in the same round")
    for interval in INTERVALS:
        print(f"on every frame in {interval}: {100 * ratio / interval:.1f} % more than the detector alone")


def _detector(model: Path) -> Callable[[], object]:
    engine = onnxruntime_engine.load(model, 1)
    image = np.random.default_rng(0).normal(size=input_shape(engine.manifest, 1)).astype(np.float32)
    return lambda: engine.infer({INPUT: image})


class Stream:
    """One stream through MoViNet in ONNX Runtime, one thread."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.shapes = {one.name: (1, *one.shape[1:]) for one in self.session.get_inputs()}
        self.forget()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a frame."""
        return self.shapes[INPUT][3], self.shapes[INPUT][2]

    def forget(self) -> None:
        """Begin another stream."""
        self.memory = [np.zeros(self.shapes[name], np.float32) for name in MEMORY]

    def step(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features (480, h/32, w/32) of the next frame, (3, h, w) RGB from 0 to 1."""
        inputs = {INPUT: image[None], **dict(zip(MEMORY, self.memory, strict=True))}
        features, *self.memory = self.session.run([FEATURES, *NEXT_MEMORY], inputs)
        found: NDArray[np.float32] = features[0]
        return found


def _stream(model: Path) -> Callable[[], object]:
    stream = Stream(model)
    image = np.random.default_rng(0).random(stream.shapes[INPUT][1:], np.float32)
    return lambda: stream.step(image)


def _processor_time(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
