"""The real network with random weights and a small input, for tests of what is done to models."""

from pathlib import Path

import torch

from convert.export import export
from edge.manifest import Manifest, input_shapes
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.networks import architectures
from train.networks.deformable import DeformableConvolution
from train.networks.memory_fusion import MemoryFusion
from train.training_step import NAMING_LAYERS

MANIFEST = Manifest("tiny", ("Run", "Jump", "Dive"), 64, 96, top_k=20, training={"data": "none"})


def write_untrained_checkpoint(path: Path, manifest: Manifest = MANIFEST) -> Path:
    """The statistics of a batch of noise make all batch norms answer with some spread."""
    torch.manual_seed(0)
    network = architectures.network(
        manifest.architecture, len(manifest.labels), manifest.channels, memory=manifest.memory
    )
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, DeformableConvolution):  # which would look straight ahead
            torch.nn.init.normal_(module.look.weight, std=0.005)
        if isinstance(module, MemoryFusion):  # which would add nothing
            for layer in (module.coarse, module.fine, module.beside):
                torch.nn.init.normal_(layer.weight, std=0.2)
    shapes = input_shapes(manifest, 4, manifest.input_size).values()
    with torch.no_grad():
        network.train()(*(torch.randn(shape) for shape in shapes))
    weights = network.state_dict()
    last = next(name for name in weights if name.startswith(NAMING_LAYERS) and name.endswith("weight"))
    torch.nn.init.normal_(weights[last], std=0.2)
    checkpoints.save(Checkpoint(manifest, network.state_dict(), {}), path)
    return path


def write_untrained_onnx(path: Path, manifest: Manifest = MANIFEST) -> Path:
    """The same, exported; its manifest holds a score, as that of a trained model does."""
    export(
        checkpoints.load(write_untrained_checkpoint(path.with_suffix(".pt"), manifest)),
        path,
        training={"scores": {"frame_map": 1}},
    )
    return path
