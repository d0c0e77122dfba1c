"""MoViNet → ONNX for streams: a frame and the memory in, its features and the memory after it out. Shell.

python -m convert.movinet_export movinet_a0_stream.pt -o movinet_a0_stream.onnx [--height 172 --width 172]

Inputs: `image` (B, 3, h, w) float32, RGB from 0 to 1, and `memory_0` … of the shapes of `movinet.memory_shapes`, zeros
before the first frame. Outputs: `features` (B, 480, ⌈h/32⌉, ⌈w/32⌉), `tap` (B, 56, ⌈h/16⌉, ⌈w/16⌉) and `next_memory_0`
…, which are the next frame's.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from convert.torch_export import OPSET, ExportError, onnx_of
from edge import files
from edge.manifest import INPUT
from edge.memory_network import next_part_names, part_names
from train import output_paths
from train.networks.memory_step import MemoryStep
from train.networks.movinet import SIZE, memory_shapes
from train.networks.movinet_weights import MovinetError, load
from train.output_paths import OutputPathError

PARTS = len(memory_shapes(1))  # of the memory
MEMORY, NEXT_MEMORY = part_names(PARTS), next_part_names(PARTS)
TOLERANCE = 1e-3  # of features, which lie between 0 and 6
CHECKED = (2, 4)  # streams and frames that are compared


def main() -> None:
    """Write MoViNet as an ONNX model, once ONNX Runtime answers as torch does."""
    parser = argparse.ArgumentParser(description="Exports MoViNet-A0-Stream to ONNX, its memory as inputs and outputs.")
    parser.add_argument("weights", type=Path, help="what python -m train.networks.movinet_weights wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model to write, .onnx")
    parser.add_argument("--height", type=int, default=SIZE, help="of the image, pixels (default: %(default)s)")
    parser.add_argument("--width", type=int, default=SIZE, help="of the image, pixels (default: %(default)s)")
    options = parser.parse_args()
    if min(options.height, options.width) < 1:
        parser.error("--height and --width: must be positive")
    try:
        output_paths.check(options.output, "--output", ".onnx")
        model = export(MemoryStep(load(options.weights)[0]), options.height, options.width)
        files.write_atomically(options.output, model.SerializeToString())
    except (MovinetError, OutputPathError, ExportError, OSError) as error:
        sys.exit(str(error))
    print(f"{options.output}: answers as torch does")


def export(step: MemoryStep, height: int, width: int) -> onnx.ModelProto:
    """The model for frames of that size and any number of streams. ExportError where it does not answer as torch."""
    shapes = step.part_shapes(1, height, width)
    parts = dict(zip(part_names(len(shapes)), map(torch.zeros, shapes), strict=True))
    outputs = (*step.names, *next_part_names(len(shapes)))
    model = onnx_of(step.eval(), {INPUT: torch.zeros(1, 3, height, width), **parts}, outputs, OPSET, folds=False)
    difference = _difference(step, model.SerializeToString(), height, width)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported MoViNet differs from torch by {difference:.2g}; nan: the weights are broken, recover them "
            "again; else use the versions that pyproject.toml pins"
        )
    return model


def _difference(step: MemoryStep, model: bytes, height: int, width: int) -> float:
    """The largest of all outputs in ONNX Runtime and torch, over a few frames of noise."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    streams, frames = CHECKED
    noise = np.random.default_rng(0).random((frames, streams, 3, height, width), np.float32)
    shapes = step.part_shapes(streams, height, width)
    parts: list[NDArray[np.float32]] = [np.zeros(shape, np.float32) for shape in shapes]
    before, after = part_names(len(shapes)), next_part_names(len(shapes))
    largest = 0.0
    for image in noise:
        inputs = {INPUT: image, **dict(zip(before, parts, strict=True))}
        with torch.inference_mode():
            expected = step(*map(torch.from_numpy, inputs.values()))
        answers = session.run([*step.names, *after], inputs)
        pairs = zip(answers, expected, strict=True)
        largest = float(np.max([largest, *(np.abs(answer - other.numpy()).max() for answer, other in pairs)]))
        parts = answers[len(step.names) :]
    return largest


if __name__ == "__main__":
    main()
