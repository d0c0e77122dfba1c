"""A depthwise convolution whose backward pass is quick on CPUs.

PyTorch hands depthwise convolutions to oneDNN, which has no fast bfloat16 kernel for two of their gradients and
falls back to reference code: for the input where the stride is 2, for the weight where the kernel is 5×5. Those took
half of a training step. Here the first is an ordinary convolution of the gradient with zeros between its pixels, the
second is computed in float32; both stay what they were but for rounding. `python -m benchmarks.training` compares.
Where a run is in float32 (`train.precision`), PyTorch's own is quick enough.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FAST_WEIGHT_KERNEL = 3  # the only kernel whose weight oneDNN differentiates quickly in bfloat16


class DepthwiseConvolution(nn.Conv2d):
    """`nn.Conv2d` with one filter per channel, odd square kernel, padded to keep size / stride, no bias."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, ceil(H / stride), ceil(W / stride))."""
        if x.device.type == "cpu" and x.dtype == torch.bfloat16 and torch.is_grad_enabled():
            y: Tensor = _Convolve.apply(x, self.weight, self.stride[0])  # type: ignore[no-untyped-call]
            return y
        return super().forward(x)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        context.save_for_backward(x, weight)
        context.stride = stride
        return _convolve(x, weight.to(x.dtype), stride)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = context.saved_tensors
        of_x = _of_input(gradients[0], x, weight.to(x.dtype), context.stride)
        return of_x, _of_weight(gradients[0], x, weight, context.stride), None


def _of_input(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Spread over the places where the filter stood, then filtered with the mirrored kernel."""
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    return _convolve(gradient, weight.flip(2, 3), 1)


def _of_weight(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """In bfloat16 where that is quick, else in float32; float32 like the weight either way."""
    if weight.shape[2] != FAST_WEIGHT_KERNEL:
        gradient, x = gradient.float(), x.float()
    kernel = weight.to(x.dtype)
    padding = weight.shape[2] // 2
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight), [False, True, False]
    )[1]
    return found.to(weight.dtype)


def _convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=len(weight))
