"""The weights in an FP32 ONNX of ours, as a checkpoint to begin a run with. Shell over onnx.

The exporter folded each batch norm into the convolution before it. Here a norm comes back as one that changes nothing;
`train.norm_statistics` gives it the statistics without which a network hardly learns.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge import model_files
from edge.engines.memory_file import memory_path
from edge.manifest import Manifest, input_shapes
from train.checkpoint import Checkpoint, CheckpointError
from train.networks import architectures
from train.networks.deformable import DeformableConvolution
from train.networks.lite import STAGES
from train.networks.yowo.clip_networks import CLIP_NETWORKS
from train.networks.yowo.names import NOT_TRAINED, TRAINED
from train.onnx_reading import OnnxFileError, read

BIAS_INPUT = {"Conv": 2, "ConvTranspose": 2, "DeformConv": 3}  # of the nodes that hold weights; their input 1 these
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, DeformableConvolution)
SIDE = 64  # pixels of the input with which is seen which norm follows which convolution
FP32 = "fp32"
PROJECTION, LATERAL = "backbone.stages.6.0.layers.6", "neck.lateral.3.0"  # of `lite`, which an export makes one


def load(path: Path) -> Checkpoint:
    """The weights and manifest of a file that `korsal-convert export` wrote, with preprocessing inside or without.

    Raises CheckpointError.
    """
    try:
        model, manifest = read(path)
    except OnnxFileError as error:
        raise CheckpointError(str(error)) from error
    if manifest.architecture in TRAINED:
        raise CheckpointError(f"{path}: weights of {manifest.architecture} are read from its .pt alone; give that")
    if manifest.architecture in CLIP_NETWORKS:
        raise CheckpointError(f"{path}: {NOT_TRAINED}")
    if manifest.precision != FP32:
        raise CheckpointError(
            f"{path}: is {manifest.precision.upper()}, which cannot be trained on; give {_fp32_beside(path)}"
        )
    if manifest.architecture not in architectures.ARCHITECTURES:
        raise CheckpointError(
            f"{path}: its network is {manifest.architecture}, and known are "
            f"{', '.join(architectures.ARCHITECTURES)}; update korsal-edge"
        )
    memory = None if manifest.memory is None else manifest.memory.as_trained()
    outside = replace(manifest, preprocessing="outside", memory=memory)
    beside = {} if manifest.memory is None else {"memory": str(memory_path(path, manifest.memory))}
    return Checkpoint(outside, _state(model, outside, path), beside, file=path)


def _fp32_beside(path: Path) -> str:
    """The file of the same model to give instead."""
    named = model_files.read(path)
    found = model_files.siblings(named) if named is not None else []
    exact = next((file.path for file in found if file.manifest.precision == FP32), None)
    return str(exact) if exact is not None else "the FP32 file that it was made from"


def _state(model: onnx.ModelProto, manifest: Manifest, path: Path) -> dict[str, Tensor]:
    """The state of the network, whose batch norms change nothing."""
    held = _unmerged(_held(model))
    width = len(held["heatmap.0"][0]) if "heatmap.0" in held else None
    classes, channels = len(manifest.labels), manifest.channels
    network = architectures.network(manifest.architecture, classes, channels, 0.0, width, manifest.memory)
    norms = {place: norm for norm, place in _places_of_norms(network.eval(), manifest)}
    state, missing = network.state_dict(), {name for name, _ in network.named_parameters()}
    for place, module in network.named_modules():
        if not isinstance(module, CONVOLUTIONS):
            continue
        if place not in held:
            raise CheckpointError(_unlike(path, f"the weights of {place} are missing"))
        weight, bias = held[place]
        state[f"{place}.weight"] = weight
        missing -= {f"{place}.weight", f"{place}.bias"}
        if place in norms:
            state |= _unchanging(norms[place], network.get_submodule(norms[place]))
            missing -= {f"{norms[place]}.weight", f"{norms[place]}.bias"}
        target = f"{place}.bias" if f"{place}.bias" in state else f"{norms.get(place)}.bias"
        if bias is not None and target in state:
            state[target] = bias
        elif bias is not None:
            raise CheckpointError(_unlike(path, f"{place} has a bias"))
    if missing:
        raise CheckpointError(_unlike(path, f"the weights of {min(missing)} are missing"))
    return state


def _unlike(path: Path, fault: str) -> str:
    return f"{path}: holds another network than its manifest says ({fault}); give the .pt that it was exported from"


def _held(model: onnx.ModelProto) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Weight and bias of each convolution that has them in the file, by its place in the network."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        place, inputs = _place(node.name), dict(enumerate(node.input))
        if node.op_type in BIAS_INPUT and place and inputs.get(1) in constants:
            bias = constants.get(inputs.get(BIAS_INPUT[node.op_type], ""))
            found[place] = _tensor(constants[inputs[1]]), None if bias is None else _tensor(bias)
    return found


def _unmerged(held: dict[str, tuple[Tensor, Tensor | None]]) -> dict[str, tuple[Tensor, Tensor | None]]:
    """The same, with two convolutions in the place of one that the exporter has made of them, as in newer files.

    What the second one does not read of the first is drawn at random, so that it can learn to.
    """
    if PROJECTION in held or LATERAL not in held:
        return held
    merged, bias = held[LATERAL]
    outputs, hidden = merged.shape[:2]
    between = STAGES[-1][3]
    first = torch.randn(between, hidden, 1, 1, generator=torch.Generator().manual_seed(0)) * hidden**-0.5
    first[:outputs] = merged
    second = torch.eye(outputs, between)[:, :, None, None]
    return {**held, PROJECTION: (first, None), LATERAL: (second, bias)}


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(stored), dtype=np.float32))


def _place(node: str) -> str:
    """`backbone.stem.0` of `/detector/backbone/stem/stem.0/Conv`, which the exporter calls it; "" where it does not."""
    root, *path = node.strip("/").split("/")
    if root != "detector" or not path:
        return ""
    *_, last = parts = path[:-1] or [""]
    return ".".join([*(part for part, after in pairwise(parts) if not after.startswith(f"{part}.")), last])


def _places_of_norms(network: nn.Module, manifest: Manifest) -> Iterable[tuple[str, str]]:
    """Each batch norm, and the convolution whose output it reads, seen as inputs of zeros go through."""
    made: dict[int, tuple[str, Tensor]] = {}  # by identity; the tensor is kept, so that no other one takes it
    found: list[tuple[str, str]] = []

    def note(place: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def passed(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made:
                found.append((place, made[id(inputs[0])][0]))
            made[id(output)] = place, output

        return module.register_forward_hook(passed)

    kinds, small = (*CONVOLUTIONS, nn.BatchNorm2d), replace(manifest, height=SIDE, width=SIDE)
    handles = [note(place, module) for place, module in network.named_modules() if isinstance(module, kinds)]
    with torch.inference_mode():
        network(*(torch.zeros(shape) for shape in input_shapes(small, 1, small.input_size).values()))
    for handle in handles:
        handle.remove()
    return found


def _unchanging(place: str, norm: nn.Module) -> dict[str, Tensor]:
    """The state of a batch norm that gives what it gets, but for rounding."""
    assert isinstance(norm, nn.BatchNorm2d)
    return {
        f"{place}.weight": torch.full((norm.num_features,), math.sqrt(1 + norm.eps)),
        f"{place}.bias": torch.zeros(norm.num_features),
        f"{place}.running_mean": torch.zeros(norm.num_features),
        f"{place}.running_var": torch.ones(norm.num_features),
    }
