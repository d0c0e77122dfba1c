"""CSPDarknet53 (Bochkovskiy et al. 2020) without its classifier, with LeakyReLU throughout.

What is special about it: in each stage half of the channels pass by the residual blocks (Wang et al. 2020). YOLOv4 has
Mish here; LeakyReLU costs less, quantises well, and has the same parameters.
"""

import torch
from torch import Tensor, nn

from train.networks.yowo.layers import convolution

STEM = 32
STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # output channels, residual blocks
TAPPED = (2, 3, 4)  # the stages whose outputs are returned
CHANNELS = tuple(STAGES[i][0] for i in TAPPED)  # at strides 8, 16, 32


class Residual(nn.Module):
    """A 1×1 and a 3×3 convolution, added to what came in."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(channels, hidden), convolution(hidden, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        y: Tensor = self.layers(x)
        return x + y


class Stage(nn.Module):
    """Halves height and width; one branch goes through the residual blocks, one passes by."""

    def __init__(self, inputs: int, outputs: int, blocks: int, whole: bool) -> None:
        """`whole`: both branches have all channels, as in the first stage only; else half of them each."""
        super().__init__()
        branch = outputs if whole else outputs // 2
        self.down = convolution(inputs, outputs, 3, 2)
        self.past = convolution(outputs, branch)
        self.through = convolution(outputs, branch)
        self.blocks = nn.Sequential(*(Residual(branch, outputs // 2) for _ in range(blocks)))
        self.after = convolution(branch, branch)
        self.join = convolution(2 * branch, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) → (B, outputs, h / 2, w / 2)."""
        x = self.down(x)
        through = self.after(self.blocks(self.through(x)))
        joined: Tensor = self.join(torch.cat([through, self.past(x)], dim=1))
        return joined


class CspDarknet53(nn.Module):
    """(B, 3, H, W) → the maps at strides 8, 16 and 32, of CHANNELS."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, STEM, 3)
        stages = []
        inputs = STEM
        for i, (outputs, blocks) in enumerate(STAGES):
            stages.append(Stage(inputs, outputs, blocks, whole=i == 0))
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps, the finest first."""
        x = self.stem(image)
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPPED:
                maps.append(x)
        return maps
