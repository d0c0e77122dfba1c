"""A network of some kilobytes that sees clips, of 3-D and 2-D convolutions with random weights, as it is exported."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convert import onnx_file
from convert.torch_export import OPSET, onnx_of
from edge.clip import NEWEST_MAP, ClipInput
from edge.manifest import OUTPUTS, Manifest, clip_shapes, input_shapes
from edge.motion_map import MotionSettings
from train.networks.yowo.clip_networks import BothParts
from train.networks.yowo.decoder import BOX, PriorMaps, split_maps

CHANNELS = 8  # of the map of a clip
LABELS = ("Basketball", "Surfing")
MANIFEST = Manifest(
    "small",
    LABELS,
    64,
    64,
    MotionSettings("none"),
    architecture="yowo",
    clip=ClipInput(3, every=2, channels=CHANNELS),
    nms_iou=0.4,
    top_k=8,
)


class SmallClipNetwork(nn.Module):
    """As `train.networks.yowo.network.Yowo` in its parts; one scale at stride 32, one prior."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *(nn.Conv3d(3, 8, 3, (1, 4, 4), 1), nn.ReLU(), nn.Conv3d(8, 16, 3, (1, 4, 4), 1), nn.ReLU()),
            *(nn.Conv3d(16, 16, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(16, CHANNELS, 1)),
        )
        self.key = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 4, 1), nn.ReLU()),
            *(nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU()),
        )
        self.head = nn.Sequential(nn.Conv2d(8 + CHANNELS, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, BOX + len(LABELS), 1))
        self.register_buffer("priors", torch.tensor([[[24.0, 36.0]]]))

    def clip_map(self, clip: Tensor) -> Tensor:
        """(B, CHANNELS, H / 32, W / 32)."""
        return F.relu(self.branch(clip)).mean(dim=2)

    def with_clip_map(self, image: Tensor, clip_map: Tensor) -> PriorMaps:
        """For a map that is known."""
        joined = torch.cat([self.key(image), clip_map], dim=1)
        return split_maps([self.head(joined)], self.get_buffer("priors"), (32,))


def write_small_clip_model(path: Path) -> Manifest:
    """The model in FP32; its manifest."""
    torch.manual_seed(0)
    network = SmallClipNetwork()
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight)
    shapes = {**input_shapes(MANIFEST, 1, MANIFEST.input_size), **clip_shapes(MANIFEST, 1)}
    inputs = {name: torch.zeros(shape) for name, shape in shapes.items()}
    model = onnx_of(BothParts(network, MANIFEST).eval(), inputs, (*OUTPUTS, NEWEST_MAP), OPSET)
    onnx_file.write(model, MANIFEST, path)
    return MANIFEST
