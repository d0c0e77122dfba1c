"""Folds batch norms into the deformable and transposed convolutions before them, which torch's exporter does not do."""

import torch
from torch import Tensor, nn

from train.networks.deformable import DeformableConvolution


@torch.no_grad()
def fold_norms(network: nn.Module) -> None:
    """Change `network`, which is in evaluation mode, in place: it answers as before but for rounding."""
    for block in list(network.modules()):
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                if isinstance(norm := block[i + 1], nn.BatchNorm2d) and _fold(block[i], norm):
                    block[i + 1] = nn.Identity()


def _fold(layer: nn.Module, norm: nn.BatchNorm2d) -> bool:
    """True where it went into the layer."""
    if isinstance(layer, DeformableConvolution):
        gain, lift = _gain_and_lift(norm)
        layer.weight.mul_(gain[:, None, None, None])
        layer.bias.copy_(layer.bias * gain + lift)
        return True
    if isinstance(layer, nn.ConvTranspose2d) and layer.groups == 1 and layer.bias is None:
        gain, lift = _gain_and_lift(norm)
        layer.weight.mul_(gain[:, None, None])  # (inputs, outputs, k, k)
        layer.bias = nn.Parameter(lift)
        return True
    return False


def _gain_and_lift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm as x · gain + lift, each (C,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return gain, norm.bias - norm.running_mean * gain
