"""Gives batch norms the mean and variance of what they read, and leaves what the network answers as it is.

Weights out of an ONNX have norms that change nothing; in the first step of training these would normalise by the
batch's own statistics, and everything behind them would read something else than before.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class _Sums:
    """Of the values of each channel, (C,) float64, and how many there were."""

    values: Tensor
    squares: Tensor
    count: int = 0


@torch.no_grad()
def estimate(network: nn.Module, batches: Iterable[Sequence[Tensor]]) -> None:
    """Change the batch norms of `network` in place, and leave it in evaluation mode.

    `batches`: of what the network takes. Where there is none, nothing changes.
    """
    with _watched(network.eval()) as sums:
        for inputs in batches:
            network(*inputs)
    for norm, seen in sums.items():
        if seen.count:
            _set(norm, seen)


@contextmanager
def _watched(network: nn.Module) -> Iterator[dict[nn.BatchNorm2d, _Sums]]:
    """What the norms read meanwhile."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = {norm: _Sums(*torch.zeros(2, norm.num_features, dtype=torch.float64)) for norm in norms}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        read = inputs[0].detach().double().transpose(0, 1).flatten(1).cpu()  # (C, B·h·w)
        sums[norm].values += read.sum(dim=1)
        sums[norm].squares += (read * read).sum(dim=1)
        sums[norm].count += read.shape[1]

    handles = [norm.register_forward_pre_hook(add) for norm in norms]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def _set(norm: nn.BatchNorm2d, seen: _Sums) -> None:
    """The norm gives x · gain + lift; with the new mean and variance its weight and bias make the same of it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = seen.values / seen.count
    variance = (seen.squares / seen.count - mean * mean).clamp(min=0)
    gain = norm.weight.double().cpu() / torch.sqrt(norm.running_var.double().cpu() + norm.eps)
    lift = norm.bias.double().cpu() - norm.running_mean.double().cpu() * gain
    norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(lift + gain * mean)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
