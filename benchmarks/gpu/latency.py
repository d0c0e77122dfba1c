"""Step: how long each network takes on the GPU, by batch and precision, with CUDA graphs and without."""

import time
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu import step
from benchmarks.gpu.step import Step
from benchmarks.gpu.torch_engine import recorded, untrained
from edge.manifest import LITE, Manifest
from train.networks.decoder import Decoder
from train.networks.movinet import SIZE, MoViNet, memory_shapes

BATCHES = (1, 2, 4, 8, 16)
PRECISIONS = {"FP32": torch.float32, "TF32": torch.float32, "FP16": torch.float16, "BF16": torch.bfloat16}
NETWORKS = (LITE, "dla_34")
MEMORY = "movinet_a0_stream"  # one frame each of a batch of streams, its memory in and out
REPEATS = 100


def main() -> None:
    """The largest batches last, as they are what may not be reached, and the network last that may refuse a graph."""
    running = step.begin()
    torch.backends.cudnn.benchmark = True
    batches = BATCHES[:1] if running.rehearse else BATCHES
    precisions = ("FP32", "BF16") if running.rehearse else tuple(PRECISIONS)  # CPUs take minutes in FP16
    plan = (*product(batches, NETWORKS, precisions), *product(batches, (MEMORY,), precisions))
    for batch, name, precision in plan:
        if running.left < 1:
            running.save(cut=f"time was up before batch {batch} of {name} in {precision}")
            return
        _measure(running, name, precision, batch)


def _measure(running: Step, name: str, precision: str, batch: int) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "TF32"
    size = (64, 96) if running.rehearse else (224, 288)
    network, image = _network(name, PRECISIONS[precision], running.device, batch, size)
    stream = torch.cuda.Stream() if running.device.type == "cuda" else None
    repeats = 1 if running.rehearse else REPEATS
    row: dict[str, object] = {"network": name, "precision": precision, "batch": batch}
    row["eager_ms"] = _milliseconds(_eager(network, image), None, repeats)
    try:
        row["graph_ms"] = _milliseconds(recorded(network, image, stream), stream, repeats)
    except RuntimeError as error:  # CUDA refuses to record what copies from the CPU
        row["failed"] = f"no graph: {str(error).splitlines()[0]}"
    running.note("latency", row)


def _network(
    name: str, dtype: torch.dtype, device: torch.device, batch: int, size: tuple[int, int]
) -> tuple[nn.Module, Tensor]:
    """The network with its decoding, and a batch of input of `size` (height, width)."""
    if name == MEMORY:
        return _Streams(dtype, device, batch).eval(), torch.rand((batch, 3, SIZE, SIZE), device=device)
    manifest = Manifest("latency", tuple(f"action {i}" for i in range(26)), *size, architecture=name)
    image = torch.rand((batch, manifest.channels, manifest.height, manifest.width), device=device)
    return Decoder(untrained(manifest, dtype, device), manifest.top_k).eval(), image


class _Streams(nn.Module):
    """MoViNet for one frame of each stream; the memory is always the same."""

    def __init__(self, dtype: torch.dtype, device: torch.device, batch: int) -> None:
        super().__init__()
        self.dtype, self.network = dtype, MoViNet().to(device, dtype)
        self.memory = [torch.zeros(shape, dtype=dtype, device=device) for shape in memory_shapes(batch)]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features (B, 480, h, w), and the next memory."""
        features, after = self.network(image[:, None].to(self.dtype), self.memory)
        return features[:, 0], *after


def _eager(network: nn.Module, image: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def compute() -> object:
        return network(image)

    return compute


def _milliseconds(compute: Callable[[], object], stream: torch.cuda.Stream | None, repeats: int) -> float:
    """The median time of a call, the device waited for after each."""
    times = []
    with torch.cuda.stream(stream):
        for _ in range(3 if repeats > 1 else 0):
            compute()
        for _ in range(repeats):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            began = time.perf_counter()
            compute()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 4)


if __name__ == "__main__":
    main()
