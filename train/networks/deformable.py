"""Modulated deformable convolution, 3×3 (DCNv2, Zhu et al. 2018): each tap has its own offset and weight.

An ordinary convolution computes 18 offsets for every place, (dy, dx) for each of the nine taps, and nine masks, which
go through a sigmoid. A tap reads its channel between pixels, bilinearly, with zeros outside of the image. In training
it is `grid_sample` and a matrix product, which differentiate themselves; exported it is one node, ONNX DeformConv.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 3
TAPS = KERNEL * KERNEL
OPSET = 19  # of ONNX, the first that has DeformConv


class DeformableConvolution(nn.Module):
    """3×3, stride 1, padded to keep the size, with bias; begins as a plain convolution at half its strength."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, KERNEL)
        self.weight = nn.Parameter(plain.weight.detach())  # (outputs, inputs, 3, 3)
        self.bias = nn.Parameter(torch.zeros(outputs))
        # computes offsets and masks; checkpoints hold its parameters under this name
        self.look = nn.Conv2d(inputs, 3 * TAPS, KERNEL, padding=KERNEL // 2)
        nn.init.zeros_(self.look.weight)
        nn.init.zeros_(self.look.bias)  # type: ignore[arg-type]  # this one has a bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H, W)."""
        offsets, masks = self.look(x).split([2 * TAPS, TAPS], dim=1)
        masks = torch.sigmoid(masks)
        if torch.onnx.is_in_onnx_export():
            y: Tensor = _Exported.apply(x, offsets, masks, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return y
        return deformable_convolution(x, offsets, masks, self.weight, self.bias)


def deformable_convolution(x: Tensor, offsets: Tensor, masks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve at nine shifted and weighted places around each pixel.

    x (B, C, H, W), offsets (B, 18, H, W) in pixels, masks (B, 9, H, W) from 0 to 1 → (B, outputs, H, W).
    """
    sampled = _sampled(x, offsets) * masks[:, None]  # (B, C, 9, H, W)
    columns = sampled.flatten(1, 2).flatten(2).to(weight.dtype)  # (B, C·9, H·W)
    y: Tensor = weight.flatten(1) @ columns + bias[:, None]
    return y.reshape(len(x), -1, *x.shape[2:])


def _sampled(x: Tensor, offsets: Tensor) -> Tensor:
    """What the nine taps read at each place: (B, C, 9, H, W), float32."""
    height, width = x.shape[2:]
    tap = torch.arange(TAPS, device=x.device)
    dy, dx = offsets.float().unflatten(1, (TAPS, 2)).unbind(2)  # (B, 9, H, W)
    row = torch.arange(height, device=x.device)[:, None] + (tap // KERNEL - 1)[:, None, None] + dy
    column = torch.arange(width, device=x.device) + (tap % KERNEL - 1)[:, None, None] + dx
    grid = torch.stack([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1], dim=-1)  # borders at -1 and 1
    sampled = F.grid_sample(x.float(), grid.flatten(1, 2), "bilinear", "zeros", align_corners=False)
    return sampled.reshape(*x.shape[:2], TAPS, height, width)


class _Exported(torch.autograd.Function):
    """The same as one node of an exported graph; while that is traced, only the answer's shape counts."""

    @staticmethod
    def forward(context: Any, x: Tensor, offsets: Tensor, masks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], weight.shape[0], *x.shape[2:])

    @staticmethod
    def symbolic(g: Any, x: Any, offsets: Any, masks: Any, weight: Any, bias: Any) -> Any:
        return g.op("DeformConv", x, weight, offsets, bias, masks, kernel_shape_i=[KERNEL] * 2, pads_i=[1] * 4)
