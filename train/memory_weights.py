"""The streaming network whose maps a detector takes, from a file of its weights or the ONNX beside a model. Shell."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from edge.engines import onnx_metadata
from train.networks import movinet_weights
from train.networks.memory_step import MemoryStep
from train.networks.movinet import Classifier, MoViNet
from train.networks.movinet_weights import MovinetError

ONNX_SUFFIX = ".onnx"
NETWORK, CLASSIFIER = "network.", "classifier."  # before the names of their weights, in both
Module = TypeVar("Module", bound=nn.Module)
CURE = "give the memory-….onnx of a model, or what python -m train.networks.movinet_weights wrote"


def load(path: Path) -> MoViNet:
    """MoViNet, from a `.pt` or from the `memory-….onnx` of a model. Raises MovinetError."""
    return _filled(MoViNet(), _read(path), NETWORK, path)


def load_step(path: Path, answers: bool) -> MemoryStep:
    """The same for pictures as they come, with its classifier where `answers` are asked for. Raises MovinetError."""
    weights = _read(path)
    network = _filled(MoViNet(), weights, NETWORK, path)
    return MemoryStep(network, _filled(Classifier(), weights, CLASSIFIER, path) if answers else None).eval()


def _read(path: Path) -> Mapping[str, Tensor]:
    return _constants(path) if path.suffix.lower() == ONNX_SUFFIX else movinet_weights.read(path)


def _filled(module: Module, weights: Mapping[str, Tensor], prefix: str, path: Path) -> Module:
    try:
        module.load_state_dict(
            {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        )
    except RuntimeError as error:
        what = "a memory's" if prefix == NETWORK else "a memory's with its classifier"
        raise MovinetError(f"{path}: holds other weights than {what}; {CURE}") from error
    return module.eval()


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
