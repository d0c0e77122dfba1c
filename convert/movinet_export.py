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
from torch import Tensor, nn

from convert.torch_export import OPSET, ExportError, onnx_of
from edge import files
from edge.manifest import INPUT
from edge.memory_network import FEATURES, TAP, next_part_names, part_names
from train import output_paths
from train.networks.movinet import SIZE, MoViNet, memory_shapes
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
        model = export(load(options.weights)[0], options.height, options.width)
        files.write_atomically(options.output, model.SerializeToString())
    except (MovinetError, OutputPathError, ExportError, OSError) as error:
        sys.exit(str(error))
    print(f"{options.output}: answers as torch does")


class _Step(nn.Module):
    """The network for one frame of each stream."""

    def __init__(self, network: MoViNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        features, tap, after = self.network.maps(image[:, None], memory)
        return features[:, 0], tap[:, 0], *after


def export(network: MoViNet, height: int, width: int) -> onnx.ModelProto:
    """The model for frames of that size and any number of streams. ExportError where it does not answer as torch."""
    step = _Step(network).eval()
    inputs = dict(
        zip((INPUT, *MEMORY), (torch.zeros(1, 3, height, width), *network.memory(1, height, width)), strict=True)
    )
    model = onnx_of(step, inputs, (FEATURES, TAP, *NEXT_MEMORY), OPSET, folds=False)
    difference = _difference(step, model.SerializeToString(), height, width)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported MoViNet differs from torch by {difference:.2g}; nan: the weights are broken, recover them "
            "again; else use the versions that pyproject.toml pins"
        )
    return model


def _difference(step: _Step, model: bytes, height: int, width: int) -> float:
    """The largest of features, tap and memory in ONNX Runtime and torch, over a few frames of noise."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    streams, frames = CHECKED
    noise = np.random.default_rng(0).random((frames, streams, 3, height, width), np.float32)
    memory: list[NDArray[np.float32]] = [value.numpy() for value in step.network.memory(streams, height, width)]
    largest = 0.0
    for image in noise:
        inputs = {INPUT: image, **dict(zip(MEMORY, memory, strict=True))}
        with torch.inference_mode():
            expected = step(*map(torch.from_numpy, inputs.values()))
        answers = session.run([FEATURES, TAP, *NEXT_MEMORY], inputs)
        pairs = zip(answers, expected, strict=True)
        largest = float(np.max([largest, *(np.abs(answer - other.numpy()).max() for answer, other in pairs)]))
        memory = answers[2:]
    return largest


if __name__ == "__main__":
    main()
