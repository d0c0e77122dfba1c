"""The weights of MoViNet-A0-Stream, from the INT8 file that Google published. Shell.

python -m train.networks.movinet_weights movinet_a0_stream_int8.tflite -o movinet_a0_stream.pt

In that file a weight is scale × q with one scale per output channel, a bias scale × q of 32 bits; batch norms are
folded into both. The gain that a layer has for its projection ("rezero") is folded here. What is written is as exact as
the file. This needs the package `ai-edge-litert`; to `load` what was written does not.
"""

import argparse
import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge import files, packages
from edge.packages import MissingPackageError
from edge.text import first_line
from train import output_paths
from train.networks.movinet import BLOCKS, Classifier, MoViNet
from train.output_paths import OutputPathError
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

LAYERS = tuple(
    f"movinet/block{block}_layer{i}/bneck" for block, (_, layers) in enumerate(BLOCKS) for i in range(len(layers))
)
PARTS = {  # of a layer: what the file calls it → ours
    "expansion/conv2d": "expansion",
    "feature/conv2d": "feature",
    "feature/conv2d_temporal": "temporal",
    "projection/conv2d": "projection",
    "skip/skip_project/conv2d": "skip",
}
PLACES = {  # what the file calls a convolution → ours
    "movinet/stem/stem/conv2d": "network.stem",
    "movinet/head/project/conv2d": "network.project",
    "classifier_head/head/conv2d": "classifier.hidden",
    "classifier_head/classifier/conv2d": "classifier.classes",
} | {
    f"{layer}/{theirs}": f"network.layers.{i}.{ours}"
    for i, layer in enumerate(LAYERS)
    for theirs, ours in PARTS.items()
}
GAINS = {f"{layer}/rezero/mul": f"network.layers.{i}.projection" for i, layer in enumerate(LAYERS)}
CURE = "give a file that python -m train.networks.movinet_weights wrote"


class MovinetError(Exception):
    """Weights that are absent or of another network."""


def main() -> None:
    """Write the weights of a TFLite file as a file of torch."""
    parser = argparse.ArgumentParser(description="Recovers MoViNet-A0-Stream's weights from its INT8 file.")
    parser.add_argument("file", type=Path, help="movinet_a0_stream_int8.tflite")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file of weights to write, .pt")
    options = parser.parse_args()
    try:
        output_paths.check(options.output, "--output", ".pt")
        weights = recovered(options.file)
        content = io.BytesIO()
        torch.save(weights, content)
        files.write_atomically(options.output, content.getvalue())
    except (MovinetError, MissingPackageError, OutputPathError, OSError) as error:
        sys.exit(str(error))
    count = sum(value.numel() for value in weights.values())
    print(f"{options.output}: {count} weights of MoViNet-A0-Stream (Google, Apache-2.0)")


def load(path: Path) -> tuple[MoViNet, Classifier]:
    """Network and classifier with the weights that `main` wrote. Raises MovinetError."""
    return _filled(read(path), path)


def read(path: Path) -> dict[str, Tensor]:
    """The weights in such a file by name, or some of them. Raises MovinetError."""
    try:
        weights = torch_file.load(path)
    except OSError as error:
        raise MovinetError(f"{path}: cannot be read ({error.strerror}); {CURE}") from error
    except TorchFileError as error:
        raise MovinetError(f"{path}: {error}; {CURE}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise MovinetError(f"{path}: holds no weights; {CURE}")
    return weights


def recovered(path: Path) -> dict[str, Tensor]:
    """The weights of network and classifier in a TFLite file, by their names in `load`. Raises MovinetError.

    MissingPackageError without `ai-edge-litert`.
    """
    weights, gains = {}, {}
    for name, value in _constants(path):
        if name in GAINS:
            gains[GAINS[name]] = float(value.flat[0])
        elif place := _place(name):
            leaf = "bias" if value.ndim == 1 else "weight"
            weights[f"{place}.{leaf}"] = torch.from_numpy(_arranged(place, value))
    _filled(weights, path)
    for place, gain in gains.items():
        for leaf in ("weight", "bias"):
            weights[f"{place}.{leaf}"] *= gain
    return weights


def _filled(weights: Mapping[str, Tensor], path: Path) -> tuple[MoViNet, Classifier]:
    """Network and classifier with these weights, for inference."""
    network, classifier = MoViNet(), Classifier()
    both = nn.ModuleDict({"network": network, "classifier": classifier}).eval()
    try:
        both.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise MovinetError(f"{path}: holds no weights of MoViNet-A0-Stream ({first_line(error)})") from error
    return network, classifier


def _constants(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights, biases and gains in a TFLite file, by name: float32, in the file's order of axes.

    Weights and biases alone have a scale for each channel. A name may be followed by those of other layers.
    """
    interpreter = _interpreter(path)
    for tensor in interpreter.get_tensor_details():
        name = tensor["name"].split(";")[0].removeprefix("movinet_classifier/")
        quantisation = tensor["quantization_parameters"]
        if len(quantisation["scales"]) > 1 or name in GAINS:
            yield name, dequantised(interpreter.get_tensor(tensor["index"]), quantisation)


def _interpreter(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise packages.missing("ai_edge_litert") from error
    try:
        return Interpreter(str(path))
    except ValueError as error:
        raise MovinetError(f"{path}: is no TFLite file that can be read ({first_line(error)})") from error


def dequantised(value: NDArray[Any], quantisation: Mapping[str, Any]) -> NDArray[np.float32]:
    """Scale × (q - zero point), each one number or one per channel, as a TFLite interpreter describes a tensor."""
    shape = [1] * value.ndim
    if len(quantisation["scales"]) > 1:
        shape[quantisation["quantized_dimension"]] = -1
    scales, zeros = (quantisation[key].reshape(shape) for key in ("scales", "zero_points"))
    number: NDArray[np.float32] = ((value.astype(np.float64) - zeros) * scales).astype(np.float32)
    return number


def _place(name: str) -> str | None:
    """Where a weight or bias belongs."""
    return next((ours for theirs, ours in PLACES.items() if name.startswith(f"{theirs}/")), None)


def _arranged(place: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """A weight or bias with torch's axes; the file has (C', h, w, C), or (1, h, w, C) for one filter a channel."""
    if place.endswith(".temporal"):
        return value.reshape(-1, value.shape[-1], 1, 1) if value.ndim > 1 else value.reshape(-1, 1, 1)
    if value.ndim == 1:
        return value
    if place.startswith("classifier."):
        return value.reshape(len(value), -1)
    axes = (3, 0, 1, 2) if place.endswith(".feature") else (0, 3, 1, 2)
    return np.ascontiguousarray(value.transpose(axes))


if __name__ == "__main__":
    main()
