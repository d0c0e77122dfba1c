"""MoViNet with random weights, as a file: what it sees matters to it, what it means does not."""

from pathlib import Path

import torch
from torch import nn

from train.networks.movinet import Classifier, MoViNet


def untrained_movinet(seed: int = 0) -> MoViNet:
    """The network."""
    torch.manual_seed(seed)
    return MoViNet().eval()


def write_untrained_movinet(path: Path, seed: int = 0) -> Path:
    """A file as `python -m train.networks.movinet_weights` writes it."""
    both = nn.ModuleDict({"network": untrained_movinet(seed), "classifier": Classifier()})
    torch.save(both.state_dict(), path)
    return path
