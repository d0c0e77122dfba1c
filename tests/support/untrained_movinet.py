"""MoViNet with random weights, as a file: what it sees matters to it, what it means does not."""

from pathlib import Path

import torch
from torch import nn

from train.networks.movinet import Classifier, MoViNet


def untrained_movinet(seed: int = 0) -> MoViNet:
    """The network; no two of its biases are the same, as an exporter would make one of them."""
    torch.manual_seed(seed)
    network = MoViNet().eval()
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(value, std=0.01)
    return network


def write_untrained_movinet(path: Path, seed: int = 0) -> Path:
    """A file as `python -m train.networks.movinet_weights` writes it."""
    both = nn.ModuleDict({"network": untrained_movinet(seed), "classifier": Classifier()})
    torch.save(both.state_dict(), path)
    return path
