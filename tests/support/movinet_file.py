"""Runs the INT8 file of MoViNet-A0-Stream, and shows every tensor between its layers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from torch import Tensor

from train.networks.movinet import BLOCKS, SIZE
from train.networks.movinet_weights import dequantised

MEMORY = [
    f"state_block{block}_layer{i}_stream_buffer"
    for block, (_, layers) in enumerate(BLOCKS)
    for i, layer in enumerate(layers)
    if layer.times > 1
]


@dataclass(frozen=True, eq=False)
class Activation:
    """A tensor as (T, C, h, w), the size of its last digit, and the range that it can hold."""

    value: Tensor
    digit: float
    range: tuple[float, float]

    def digits_off(self, ours: Tensor) -> float:
        """The largest difference, in last digits, from what ours would be in that range."""
        return float((ours.clamp(*self.range) - self.value).abs().max()) / self.digit


class MovinetFile:
    """One stream through the file."""

    def __init__(self, path: Path) -> None:
        self.interpreter = Interpreter(
            str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.run = self.interpreter.get_signature_runner()
        details = self.run.get_input_details()
        self.state = {name: np.zeros(one["shape"], one["dtype"]) for name, one in details.items() if name != "image"}

    def step(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits (600,) after a frame (3, h, w), RGB from 0 to 1."""
        self.state = self.run(image=frame.transpose(1, 2, 0)[None, None], **self.state)
        logits: NDArray[np.float32] = self.state.pop("logits")[0]
        return logits

    def memory(self) -> list[Tensor]:
        """The stream buffers in the order and shape of our memory."""
        return [torch.from_numpy(self.state[name]).permute(0, 1, 4, 2, 3) for name in MEMORY]

    def activation(self, name: str) -> Activation:
        """The tensor whose name begins so."""
        tensor = next(one for one in self.interpreter.get_tensor_details() if _is_activation(one, name))
        quantisation = tensor["quantization_parameters"]
        value = dequantised(self.interpreter.get_tensor(tensor["index"]), quantisation)
        digit, zero = float(quantisation["scales"][0]), int(quantisation["zero_points"][0])
        images = value.reshape(-1, *value.shape[-3:]).transpose(0, 3, 1, 2)
        return Activation(torch.from_numpy(images.copy()), digit, ((-128 - zero) * digit, (127 - zero) * digit))


def _is_activation(tensor: dict[str, Any], name: str) -> bool:
    """Weights have a scale for each channel."""
    own = tensor["name"].removeprefix("movinet_classifier/").startswith(name)
    return own and len(tensor["quantization_parameters"]["scales"]) == 1


def frames(video: Path, every: int, count: int) -> Iterator[NDArray[np.float32]]:
    """Every n-th frame of a video for the network: (3, 172, 172), RGB from 0 to 1."""
    capture = cv2.VideoCapture(str(video))
    for number in range(every * (count - 1) + 1):
        image = capture.read()[1]
        if number % every == 0:
            small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            yield np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1), np.float32) / np.float32(255)
