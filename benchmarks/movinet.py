"""The price of MoViNet beside the detector's: processor time of one frame in ONNX Runtime, one thread, in turns.

python -m benchmarks.movinet movinet_a0_stream.onnx [--model MODEL] [--rounds 200], with the file that
python -m convert.movinet_export wrote. Processor time, not the clock's: others may run on the machine.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from convert.movinet_export import FEATURES, MEMORY, NEXT_MEMORY
from edge.config.config_file import SHIPPED_MODEL
from edge.engines import onnxruntime_engine
from edge.manifest import INPUT, input_shape
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


def _stream(model: Path) -> Callable[[], None]:
    """A frame of a stream: each call takes the memory that the last one gave."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shapes = {one.name: (1, *one.shape[1:]) for one in session.get_inputs()}
    inputs: dict[str, NDArray[Any]] = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    inputs[INPUT] = np.random.default_rng(0).random(shapes[INPUT], np.float32)

    def step() -> None:
        _, *memory = session.run([FEATURES, *NEXT_MEMORY], inputs)
        inputs.update(zip(MEMORY, memory, strict=True))

    return step


def _processor_time(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
