"""Compares training steps in float32 and bfloat16 on this CPU, and our depthwise backward pass with PyTorch's own.

python -m benchmarks.training [--threads 2] [--batch 16]. The layers are those of the shipped network at 256×192.
ONEDNN_MAX_CPU_ISA=AVX2 or AVX512_CORE in the environment makes oneDNN compute as on an older processor.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.networks.depthwise import DepthwiseConvolution
from train.networks.lite import LiteDetector
from train.precision import step_seconds

HEIGHT, WIDTH = 192, 256
ROUNDS = 5
KINDS = ("amx", "avx", "bf16", "fma", "i8mm", "neon", "sve")  # processor features that matter here
COLUMNS = (
    ("channels", 8),
    ("kernel", 8),
    ("stride", 8),
    ("input", 10),
    ("layers", 8),
    ("plain ms", 10),
    ("ours ms", 10),
    ("ratio", 8),
)


@dataclass(frozen=True, eq=False)
class Layer:
    """A depthwise convolution of the network and an input of its size."""

    ours: DepthwiseConvolution
    x: Tensor


def main() -> None:
    """Print both steps, then one line per kind of layer, and the sum over the network."""
    options = _options()
    torch.set_num_threads(options.threads)
    _compare_steps(options.batch)
    if not options.layers:
        return
    print("".join(f"{name:>{width}}" for name, width in COLUMNS))
    sums = [0.0, 0.0]
    for count, layer in _kinds(options.batch):
        ours, plain = (_seconds(module, layer.x) for module in (layer.ours, _plain(layer.ours)))
        kernel, stride = layer.ours.kernel_size[0], layer.ours.stride[0]
        height, width = layer.x.shape[2:]
        print(
            f"{layer.x.shape[1]:8}{kernel:8}{stride:8}{f'{width}x{height}':>10}{count:8}"
            f"{plain * 1e3:10.1f}{ours * 1e3:10.1f}{plain / ours:8.1f}"
        )
        sums[0] += count * plain
        sums[1] += count * ours
    plain, ours = (value * 1e3 / options.batch for value in sums)
    print(f"all, per sample: plain {plain:.1f} ms, ours {ours:.1f} ms, {plain / ours:.1f} times")


def _compare_steps(batch: int) -> None:
    """Print one step of the whole network, forward and backward, in both precisions."""
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "the processor")
    known = torch.cpu.get_capabilities().items()
    features = sorted(name for name, there in known if there is True and name.startswith(KINDS))
    print(f"processor: {', '.join(features)}; oneDNN limited by: {isa}")
    seconds = step_seconds(LiteDetector(classes=5, channels=6), (batch, 6, HEIGHT, WIDTH))
    one, other = (1e3 * seconds[precision] / batch for precision in ("float32", "bfloat16"))
    print(f"a step, per sample: float32 {one:.1f} ms, bfloat16 {other:.1f} ms, {one / other:.2f} times as fast\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares steps of training.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--layers", action=argparse.BooleanOptionalAction, default=True, help="also compare each layer")
    return parser.parse_args()


def _kinds(batch: int) -> Iterator[tuple[int, Layer]]:
    """The depthwise layers of the network, one of each size, with their number."""
    network = LiteDetector(classes=5, channels=6)
    by_size: dict[tuple[int, ...], list[Layer]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(module, DepthwiseConvolution)
        key = (module.kernel_size[0], module.stride[0], *inputs[0].shape)
        by_size.setdefault(key, []).append(Layer(module, torch.randn(batch, *inputs[0].shape[1:])))

    hooks = [m.register_forward_pre_hook(record) for m in network.modules() if isinstance(m, DepthwiseConvolution)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 6, HEIGHT, WIDTH))
    for hook in hooks:
        hook.remove()
    for layers in by_size.values():
        yield len(layers), layers[0]


def _plain(ours: DepthwiseConvolution) -> nn.Conv2d:
    channels, kernel = len(ours.weight), ours.kernel_size[0]
    return nn.Conv2d(channels, channels, kernel, ours.stride[0], kernel // 2, groups=channels, bias=False)


def _seconds(module: nn.Module, x: Tensor) -> float:
    """Seconds of the fastest of several backward passes."""
    x = x.bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    best = float("inf")
    for _ in range(ROUNDS):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = module(x)
        began = time.perf_counter()
        y.backward(torch.ones_like(y))
        best = min(best, time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
