"""A network that torch runs in the place of a TensorRT engine, one CUDA graph for each batch. Shell."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.gpu.step import synchronize
from edge.inference import Engine, LoadedEngine
from edge.manifest import INPUT, OUTPUTS, Manifest
from train.networks import architectures
from train.networks.decoder import Decoder

WARM_UP = 3  # passes before a graph is recorded


class TorchRunner:
    """A network with static input on the device, `GpuRunner` as `edge.engines.tensorrt_runner.Runner` is."""

    def __init__(self, network: nn.Module, manifest: Manifest, largest: int, device: torch.device) -> None:
        self.device, self.batches = device, (1, largest)
        self.image = np.empty((largest, manifest.channels, manifest.height, manifest.width), np.float32)
        self.static = torch.zeros(self.image.shape, device=device)
        self.cuda_stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._decoder = Decoder(network, manifest.top_k).eval()
        self._passes: dict[int, Callable[[], Sequence[Tensor]]] = {}
        synchronize(device)  # other streams may write into the input from now on

    @property
    def image_address(self) -> int:
        """The input's address on the device."""
        return self.static.data_ptr()

    @property
    def stream(self) -> int:
        """The CUDA stream of all work, 0 on a CPU."""
        return self.cuda_stream.cuda_stream if self.cuda_stream is not None else 0

    def run(self, batch: int) -> Mapping[str, NDArray[Any]]:
        """The outputs for the first images of the input."""
        if batch not in self._passes:
            self._passes[batch] = recorded(self._decoder, self.static[:batch], self.cuda_stream)
        with torch.cuda.stream(self.cuda_stream):
            outputs = self._passes[batch]()
            return {name: value.cpu().numpy() for name, value in zip(OUTPUTS, outputs, strict=True)}

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """As `Engine.infer`: the input comes from the CPU."""
        self.upload(INPUT, inputs[INPUT])
        return self.run(len(inputs[INPUT]))

    def upload(self, name: str, rows: NDArray[Any]) -> None:
        """Copy the first rows of INPUT, the only input that these networks have, from the CPU."""
        if name != INPUT:
            raise KeyError(name)
        image = torch.from_numpy(np.ascontiguousarray(rows))
        with torch.cuda.stream(self.cuda_stream):
            self.static[: len(image)].copy_(image)

    def close(self) -> None:
        """Forget the graphs."""
        self._passes.clear()


def recorded(network: nn.Module, image: Tensor, stream: torch.cuda.Stream | None) -> Callable[[], Sequence[Tensor]]:
    """A call that runs the network on `image` as it then is: on a GPU one CUDA graph."""

    @torch.inference_mode()
    def compute() -> Sequence[Tensor]:
        outputs: Sequence[Tensor] = network(image)
        return outputs

    if stream is None:
        return compute
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            compute()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        outputs = compute()

    def replay() -> Sequence[Tensor]:
        graph.replay()
        return outputs

    return replay


class InPrecision(nn.Module):
    """A network whose weights and arithmetic are of `dtype`; it takes float32 and the decoding computes in it."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, image: Tensor) -> Any:
        """The heads of the network."""
        return self.network(image.to(self.dtype).contiguous(memory_format=torch.channels_last))


def untrained(manifest: Manifest, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The manifest's network with random weights: their values do not change the time."""
    torch.manual_seed(0)
    network = architectures.network(manifest.architecture, len(manifest.labels), manifest.channels)
    placed: nn.Module = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return InPrecision(placed, dtype)


def engine(runner: TorchRunner, manifest: Manifest) -> LoadedEngine:
    """What the daemon opens, the CPU preparing its frames."""
    opened = Engine(runner.infer, manifest, "0" * 64, f"torch {torch.__version__}", runner.batches[1])
    return LoadedEngine(opened, runner, Path("torch"))
