"""Makes one convolution of two that follow each other with nothing but norms between: fewer weights, the same answer.

The last stage of `lite` projects to 320 channels without an activation, and the neck alone reads them, by a 1×1
convolution to 64: together they are one matrix of a fifth of the size. Training keeps both.
"""

import torch
from torch import Tensor, nn

from train.networks.lite import InvertedResidual, LiteDetector


@torch.no_grad()
def merge_last_projection(network: nn.Module) -> None:
    """Change a `LiteDetector` in evaluation mode in place: it answers as before but for rounding. Others stay."""
    if not isinstance(network, LiteDetector):
        return
    stage, lateral = network.backbone.stages[-1], network.neck.lateral[-1]
    assert isinstance(stage, nn.Sequential)
    assert isinstance(lateral, nn.Sequential)
    last = stage[-1]
    assert isinstance(last, InvertedResidual)
    *before, projection, norm = last.layers
    (weight, bias), (second, lift) = _matrix(projection, norm), _matrix(lateral[0], lateral[1])
    merged = nn.Conv2d(weight.shape[1], second.shape[0], 1)
    merged.weight.copy_((second @ weight)[:, :, None, None])
    assert merged.bias is not None
    merged.bias.copy_(second @ bias + lift)
    last.layers = nn.Sequential(*before, nn.Identity(), nn.Identity())
    network.neck.lateral[-1] = nn.Sequential(merged)


def _matrix(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A 1×1 convolution without bias and its norm as W x + b: (outputs, inputs) and (outputs,), both float64."""
    assert isinstance(layer, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = layer.weight.double()[:, :, 0, 0] * gain[:, None]
    return weight, norm.bias.double() - norm.running_mean.double() * gain
