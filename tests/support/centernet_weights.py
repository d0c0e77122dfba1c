"""Checkpoints with CenterNet's names and shapes, filled with numbers that any machine makes alike."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]


def res_18(classes: int, channels: int, head_width: int) -> dict[str, Tensor]:
    """As CenterNet's `msra_resnet.py` with 18 layers."""
    shapes = dict(_resnet(channels))
    inputs = 512
    for i in (0, 3, 6):
        shapes[f"deconv_layers.{i}.weight"] = (inputs, 256, 4, 4)
        shapes |= _norm(f"deconv_layers.{i + 1}", 256)
        inputs = 256
    return _filled(shapes | _heads(256, classes, head_width))


def resdcn_18(classes: int, channels: int, head_width: int) -> dict[str, Tensor]:
    """As CenterNet's `resnet_dcn.py` with 18 layers."""
    shapes = dict(_resnet(channels))
    inputs = 512
    for i, outputs in ((0, 256), (6, 128), (12, 64)):
        shapes |= _deformable(f"deconv_layers.{i}", inputs, outputs)
        shapes |= _norm(f"deconv_layers.{i + 1}", outputs)
        shapes[f"deconv_layers.{i + 3}.weight"] = (outputs, outputs, 4, 4)
        shapes |= _norm(f"deconv_layers.{i + 4}", outputs)
        inputs = outputs
    return _filled(shapes | _heads(64, classes, head_width))


def dla_34(classes: int, channels: int, head_width: int) -> dict[str, Tensor]:
    """As CenterNet's `pose_dla_dcn.py` with 34 layers, ImageNet's classifier still in it."""
    shapes: dict[str, Shape] = {"base.base_layer.0.weight": (16, channels, 7, 7), **_norm("base.base_layer.1", 16)}
    shapes |= {"base.level0.0.weight": (16, 16, 3, 3), **_norm("base.level0.1", 16)}
    shapes |= {"base.level1.0.weight": (32, 16, 3, 3), **_norm("base.level1.1", 32)}
    shapes |= _tree("base.level2", 32, 64, 128)
    for level, inputs, outputs in ((3, 64, 128), (4, 128, 256)):
        shapes |= _tree(f"base.level{level}.tree1", inputs, outputs, 2 * outputs)
        shapes |= _tree(f"base.level{level}.tree2", outputs, outputs, 3 * outputs + inputs)
        shapes |= _projection(f"base.level{level}.project", inputs, outputs)
    shapes |= _tree("base.level5", 256, 512, 2 * 512 + 256)
    shapes |= {"base.fc.weight": (1000, 512, 1, 1), "base.fc.bias": (1000,)}
    merges = {"dla_up.ida_0": (256, (512,)), "dla_up.ida_1": (128, (256, 256)), "dla_up.ida_2": (64, (128, 128, 128))}
    for name, (width, inputs_of) in merges.items():
        shapes |= _merge(name, width, inputs_of, (4,) * len(inputs_of))
    shapes |= _merge("ida_up", 64, (128, 256), (4, 8))
    return _filled(shapes | _heads(64, classes, head_width))


def image(channels: int, height: int, width: int) -> Tensor:
    """(1, channels, height, width) float32 noise."""
    return _noise("image", (1, channels, height, width))


def file(state: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """What CenterNet saves, with the state of an optimizer."""
    moments = {0: {"step": 3, "exp_avg": torch.zeros(2)}}
    groups = [{"lr": 1.25e-4, "betas": (0.9, 0.999), "params": [0]}]
    prefixed = {prefix + name: value for name, value in state.items()}
    return {"epoch": 7, "state_dict": prefixed, "optimizer": {"state": moments, "param_groups": groups}}


def _resnet(channels: int) -> Iterator[tuple[str, Shape]]:
    yield "conv1.weight", (64, channels, 7, 7)
    yield from _norm("bn1", 64).items()
    inputs = 64
    for layer, outputs in enumerate((64, 128, 256, 512), 1):
        for i in (0, 1):
            yield from _block(f"layer{layer}.{i}", inputs, outputs).items()
            if inputs != outputs:
                yield from _projection(f"layer{layer}.{i}.downsample", inputs, outputs).items()
            inputs = outputs


def _tree(name: str, inputs: int, outputs: int, joined: int) -> dict[str, Shape]:
    shapes = _block(f"{name}.tree1", inputs, outputs) | _block(f"{name}.tree2", outputs, outputs)
    shapes |= {f"{name}.root.conv.weight": (outputs, joined, 1, 1), **_norm(f"{name}.root.bn", outputs)}
    return shapes | (_projection(f"{name}.project", inputs, outputs) if inputs != outputs else {})


def _merge(name: str, width: int, inputs: tuple[int, ...], kernels: tuple[int, ...]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for i, (channels, kernel) in enumerate(zip(inputs, kernels, strict=True), 1):
        for layer, before in ((f"{name}.proj_{i}", channels), (f"{name}.node_{i}", width)):
            shapes |= _norm(f"{layer}.actf.0", width) | _deformable(f"{layer}.conv", before, width)
        shapes[f"{name}.up_{i}.weight"] = (width, 1, kernel, kernel)
    return shapes


def _block(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {
        f"{name}.conv1.weight": (outputs, inputs, 3, 3),
        **_norm(f"{name}.bn1", outputs),
        f"{name}.conv2.weight": (outputs, outputs, 3, 3),
        **_norm(f"{name}.bn2", outputs),
    }


def _projection(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.0.weight": (outputs, inputs, 1, 1), **_norm(f"{name}.1", outputs)}


def _deformable(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {
        f"{name}.weight": (outputs, inputs, 3, 3),
        f"{name}.bias": (outputs,),
        f"{name}.conv_offset_mask.weight": (27, inputs, 3, 3),
        f"{name}.conv_offset_mask.bias": (27,),
    }


def _heads(inputs: int, classes: int, width: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, outputs in (("hm", classes), ("wh", 2), ("reg", 2)):
        shapes |= {f"{name}.0.weight": (width, inputs, 3, 3), f"{name}.0.bias": (width,)}
        shapes |= {f"{name}.2.weight": (outputs, width, 1, 1), f"{name}.2.bias": (outputs,)}
    return shapes


def _norm(name: str, channels: int) -> dict[str, Shape]:
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{leaf}": (channels,) for leaf in leaves}, f"{name}.num_batches_tracked": ()}


def _filled(shapes: dict[str, Shape]) -> dict[str, Tensor]:
    return {name: _value(name, shape) for name, shape in shapes.items()}


def _value(name: str, shape: Shape) -> Tensor:
    """Such that activations keep their size, and that deformable taps look some pixels away."""
    noise = _noise(name, shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(5)
    if name.endswith("running_var"):
        return 1 + 0.2 * noise.abs()
    if len(shape) == 1:
        is_norm_weight = name.endswith(".weight")
        return 1 + 0.1 * noise if is_norm_weight else noise * (1.0 if "offset" in name else 0.1)
    reads = shape[0] * 4 if name.startswith("deconv_layers") and shape[2] == 4 else int(np.prod(shape[1:]))
    return noise * np.float32(np.sqrt(1.5 / reads))


def _noise(name: str, shape: Shape) -> Tensor:
    """Normal numbers that hang on the name alone: NumPy's generators never change theirs."""
    random = np.random.RandomState(sum(i * ord(letter) for i, letter in enumerate(name, 1)) % 2**32)
    return torch.from_numpy(np.asarray(random.standard_normal(shape), np.float32))
