"""The streaming network whose maps a detector takes, from a file of its weights or the ONNX beside a model. Shell."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge.engines import onnx_metadata
from train.networks import movinet_weights
from train.networks.movinet import MoViNet
from train.networks.movinet_weights import MovinetError

ONNX_SUFFIX = ".onnx"
NAMED = "network."  # before the names of its weights, in both
CURE = "give the memory-….onnx of a model, or what python -m train.networks.movinet_weights wrote"


def load(path: Path) -> MoViNet:
    """MoViNet, from a `.pt` or from the `memory-….onnx` of a model. Raises MovinetError."""
    weights = _constants(path) if path.suffix.lower() == ONNX_SUFFIX else movinet_weights.read(path)
    network = MoViNet().eval()
    try:
        network.load_state_dict(
            {name.removeprefix(NAMED): value for name, value in weights.items() if name.startswith(NAMED)}
        )
    except RuntimeError as error:
        raise MovinetError(f"{path}: holds other weights than a memory's; {CURE}") from error
    return network


def _constants(path: Path) -> dict[str, Tensor]:
    """The constants of an ONNX file by name."""
    import onnx  # which a checkpoint does without
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        content = path.read_bytes()
    except OSError as error:
        raise MovinetError(f"{path}: cannot be read ({error.strerror}); {CURE}") from error
    if fault := onnx_metadata.fault(content):
        raise MovinetError(f"{path}: {fault}")
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise MovinetError(f"{path}: is not an ONNX file; {CURE}") from error
    return {
        tensor.name: torch.from_numpy(np.array(numpy_helper.to_array(tensor))) for tensor in model.graph.initializer
    }
