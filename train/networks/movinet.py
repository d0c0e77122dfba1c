"""MoViNet-A0-Stream: a network that has watched 600 kinds of action, one cheap pass a frame (Kondratyuk et al. 2021).

What is special about it: space and time apart, and over time it only looks back. So the few frames that a layer still
needs, its part of the *memory*, go in and come out, and a stream gets what the whole clip at once would. This is the
variant for INT8: ReLU6 everywhere, no squeeze-and-excitation; batch norms lie folded in the convolutions. T is
how many frames come at once: 1 in a stream.

Trained on Kinetics-600 at 172×172 and five frames a second; any size goes, as all of it is convolutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.memory_network import MemoryNetwork

SIZE = 172  # height and width that it was trained at
STEM = 8  # channels after the first convolution
FEATURES = 480  # channels of the last feature map, at stride 32
HIDDEN = 2048  # of the classifier
CLASSES = 600  # of Kinetics-600


@dataclass(frozen=True)
class Layer:
    """One bottleneck: `hidden` channels, filters of kernel × kernel pixels and then of `times` frames."""

    hidden: int
    kernel: int = 3
    times: int = 3
    stride: int = 1


# Output channels and layers of each block.
BLOCKS: tuple[tuple[int, tuple[Layer, ...]], ...] = (
    (8, (Layer(24, kernel=5, times=1, stride=2),)),
    (32, (Layer(80, stride=2), Layer(80), Layer(80))),
    (56, (Layer(184, times=5, stride=2), Layer(112), Layer(184))),
    (56, (Layer(184, times=5), Layer(184), Layer(184), Layer(184))),
    (104, (Layer(384, times=5, stride=2), *2 * (Layer(280, kernel=5, times=1),), Layer(344, kernel=5, times=1))),
)
TAPPED_BLOCKS = 4  # the output of so many is the tap, the last map at stride 16
TAP = BLOCKS[TAPPED_BLOCKS - 1][0]  # channels of it
REACH = 1 + sum(layer.times - 1 for _, layers in BLOCKS for layer in layers)  # frames that one output depends on

TAPPED_LAYERS = sum(len(layers) for _, layers in BLOCKS[:TAPPED_BLOCKS])

StreamMemory = Sequence[Tensor]  # (B, times - 1, hidden, h, w) of each layer that looks back, oldest frame first


def padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's SAME puts before and after an axis, the odd one after, to get ceil(size / stride)."""
    whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2


class Convolution(nn.Conv2d):
    """`nn.Conv2d` with bias, padded as TensorFlow pads: (B, C, h, w) → (B, C', ceil(h / stride), ceil(w / stride))."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        x, even = _padded(x, self.kernel_size[0], self.stride[0])
        return F.conv2d(x, self.weight, self.bias, self.stride, even, groups=self.groups)


def _padded(x: Tensor, kernel: int, stride: int) -> tuple[Tensor, tuple[int, int]]:
    """(…, h, w) with the zeros that are uneven, and the rows and columns that are missing on either side still."""
    sides = [padding(int(size), kernel, stride) for size in x.shape[-2:]]
    uneven = [after - before for before, after in sides]
    if any(uneven):
        x = F.pad(x, (0, uneven[1], 0, uneven[0]))
    return x, (sides[0][0], sides[1][0])


class CausalFilter(nn.Module):
    """One filter per channel over the newest frames: (B, T, C, h, w) and its past to the same and the past after it."""

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        self.times = times
        self.weight = nn.Parameter(torch.randn(times, channels, 1, 1) / times**0.5)  # oldest frame first
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Filter; `past` is (B, times - 1, C, h, w)."""
        frames = int(x.shape[1])
        seen = torch.cat([past, x], dim=1)
        filtered: Tensor = self.bias
        for i in range(self.times):
            filtered = filtered + self.weight[i] * seen[:, i : i + frames]
        return filtered, seen[:, frames:]


def halved(x: Tensor) -> Tensor:
    """The mean of 3×3 pixels at every second one, counting only those inside: (B, C, h, w) → (B, C, ⌈h/2⌉, ⌈w/2⌉)."""
    rows, columns = (x.new_tensor(_inside(int(size))) for size in x.shape[-2:])
    x, even = _padded(x, 3, 2)
    return F.avg_pool2d(x, 3, 2, even) * (9 / torch.outer(rows, columns))


def _inside(size: int) -> list[int]:
    """How many of the three places of each window along an axis lie inside."""
    first = -padding(size, 3, 2)[0]
    return [sum(0 <= at < size for at in range(start, start + 3)) for start in range(first, first + size + size % 2, 2)]


class Bottleneck(nn.Module):
    """Expand, filter per channel in space and then in time, project, add to what came in."""

    def __init__(self, inputs: int, outputs: int, layer: Layer) -> None:
        super().__init__()
        hidden = layer.hidden
        self.stride = layer.stride
        self.expansion = Convolution(inputs, hidden)
        self.feature = Convolution(hidden, hidden, layer.kernel, layer.stride, groups=hidden)
        self.temporal = CausalFilter(hidden, layer.times) if layer.times > 1 else None
        self.projection = Convolution(hidden, outputs)
        self.skip = Convolution(inputs, outputs) if layer.stride > 1 or inputs != outputs else None

    def forward(self, x: Tensor, past: Tensor | None, frames: int) -> tuple[Tensor, Tensor | None]:
        """(B T, C, h, w), the frames of a clip one after another, and the layer's past."""
        y = F.relu6(self.feature(F.relu6(self.expansion(x))))
        if self.temporal is not None and past is not None:
            filtered, past = self.temporal(_clips(y, frames), past)
            y = F.relu6(_images(filtered))
        if self.skip is not None:
            x = self.skip(halved(x) if self.stride > 1 else x)
        return x + self.projection(y), past


class MoViNet(nn.Module):
    """Frames and memory to a feature map and the memory after them.

    `frames` (B, T, 3, h, w) float32, RGB from 0 to 1; the map is (B, T, 480, ⌈h/32⌉, ⌈w/32⌉). Whether T frames come at
    once or one after the other makes no difference.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        bottlenecks = []
        inputs = STEM
        for outputs, layers in BLOCKS:
            for layer in layers:
                bottlenecks.append(Bottleneck(inputs, outputs, layer))
                inputs = outputs
        self.layers = nn.ModuleList(bottlenecks)
        self.project = Convolution(inputs, FEATURES)

    def forward(self, frames: Tensor, memory: StreamMemory) -> tuple[Tensor, list[Tensor]]:
        """Take the next frames."""
        features, _, after = self.maps(frames, memory)
        return features, after

    def maps(self, frames: Tensor, memory: StreamMemory) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Take the next frames: their feature map, their tap (B, T, 56, ⌈h/16⌉, ⌈w/16⌉), and the memory after them."""
        times = int(frames.shape[1])
        x = F.relu6(self.stem(_images(frames)))
        tap = x
        pasts, after = iter(memory), []
        for number, layer in enumerate(self.layers, 1):
            x, past = layer(x, next(pasts) if layer.temporal is not None else None, times)
            after += [past] if past is not None else []
            tap = x if number == TAPPED_LAYERS else tap
        return _clips(F.relu6(self.project(x)), times), _clips(tap, times), after

    def memory(self, batch: int, height: int = SIZE, width: int = SIZE) -> list[Tensor]:
        """The memory before the first frame: zeros, as its first frames were trained with."""
        like = self.stem.weight
        return [like.new_zeros(shape) for shape in memory_shapes(batch, height, width)]


class Classifier(nn.Module):
    """Mean features (B, 480) of a clip's frames to logits (B, 600) of Kinetics-600."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, HIDDEN)
        self.classes = nn.Linear(HIDDEN, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        """Classify."""
        logits: Tensor = self.classes(F.relu6(self.hidden(features)))
        return logits


def _images(clips: Tensor) -> Tensor:
    """(B, T, C, h, w) → (B T, C, h, w)."""
    return clips.reshape(-1, *map(int, clips.shape[2:]))


def _clips(images: Tensor, times: int) -> Tensor:
    """The inverse, for T = `times`."""
    return images.reshape(-1, times, *map(int, images.shape[1:]))


def memory_shapes(batch: int, height: int = SIZE, width: int = SIZE) -> list[tuple[int, ...]]:
    """The shape of each part of the memory for frames of that size."""
    shapes: list[tuple[int, ...]] = []
    height, width = -(-height // 2), -(-width // 2)
    for _, layers in BLOCKS:
        for layer in layers:
            height, width = -(-height // layer.stride), -(-width // layer.stride)
            if layer.times > 1:
                shapes.append((batch, layer.times - 1, layer.hidden, height, width))
    return shapes


@dataclass(frozen=True)
class MapGrid:
    """Where the cells of a map lie along an axis of the frame: cell i's middle at `first + i * stride`, pixels."""

    cells: int
    stride: int
    first: float


def map_grids(size: int = SIZE) -> tuple[MapGrid, MapGrid]:
    """Of the feature map and of the tap, along an axis of so many pixels; uneven padding moves all cells."""
    strided = [(3, 2), *((layer.kernel, layer.stride) for _, layers in BLOCKS for layer in layers)]
    grid = tap = MapGrid(size, 1, 0.5)
    for number, (kernel, stride) in enumerate(strided):
        before = padding(grid.cells, kernel, stride)[0]
        first = grid.first + grid.stride * ((kernel - 1) / 2 - before)
        grid = MapGrid(-(-grid.cells // stride), grid.stride * stride, first)
        tap = grid if number == TAPPED_LAYERS else tap
    return grid, tap


def memory_network(weights: str, interval: int, size: int = SIZE) -> MemoryNetwork:
    """What a detector takes of a network with weights of that hash, which sees one in so many frames."""
    features, tap = (grid.cells for grid in map_grids(size))
    return MemoryNetwork(weights, interval, size, (FEATURES, features, features), (TAP, tap, tap))
