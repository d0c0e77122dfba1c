"""The fakes of TensorRT and CUDA as one GPU: what TensorRT executes waits on CUDA's stream like any other work.

The network is that of `tiny_model`: Shine where the image is bright.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_runtime import Cuda
from tests.support import fake_tensorrt, fake_tensorrt_builder
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_tensorrt import Compute, Network
from tests.support.tiny_model import BOX

VERSIONS = ("8.6", "10.3", "10.13", "10.16", "11.0", "11.4")


@dataclass(frozen=True, eq=False)
class FakeGpu:
    """`trt` stands for the module tensorrt, `runtime` for the CUDA runtime."""

    trt: Any
    runtime: FakeCuda

    @property
    def cuda(self) -> Cuda:
        return Cuda(self.runtime)


WithTensorRt = Callable[..., FakeGpu]  # the fixture `with_tensorrt` of gpu_machine


def fake_gpu(
    version: str,
    network: Network | None = None,
    failing: Mapping[str, str] | None = None,
    compute: Compute | None = None,
) -> FakeGpu:
    """A GPU with that TensorRT; `failing` and `compute` as in fake_tensorrt.fake, without which it is `shine`."""
    gpu = FakeGpu(fake_tensorrt.fake(version, network, failing=failing, compute=compute or shine), FakeCuda())
    gpu.trt.IExecutionContext.execute_async_v3 = _on_stream(gpu)
    return gpu


def shine(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """What `tiny_model` answers."""
    image = inputs["image"].astype(np.float64)
    score = 1 / (1 + np.exp(-4 * image.mean(axis=(1, 2, 3))))[:, None]
    both = np.stack([score, np.full_like(score, 0.3)], axis=2)
    boxes = np.broadcast_to(np.array(BOX, np.float32), (len(image), 1, 4))
    return {"boxes": boxes, "scores": both.max(axis=2), "labels": both.argmax(axis=2), "class_scores": both}


def serialized_engine(trt: Any, smallest: int = 1, largest: int = 4) -> bytes:
    """What the builder of `trt` would serialise of its network."""
    inputs = trt.network.inputs
    profile = {
        name: [(batch, *shape[1:]) for batch in (smallest, largest, largest)]
        for name, (shape, _) in inputs.items()
        if -1 in shape
    }
    return bytes(fake_tensorrt_builder.plan(trt, profile))


def _on_stream(gpu: FakeGpu) -> Any:
    """The execution, put on the stream; in a graph it holds only for the shapes that it was captured with."""
    execute = gpu.trt.IExecutionContext.execute_async_v3

    def execute_async_v3(context: Any, stream: int) -> bool:
        failing = "IExecutionContext.execute_async_v3" in gpu.trt.failing
        if failing or "breaks_capture" in gpu.trt.failing:
            gpu.runtime.invalidate(stream)
        if failing:
            return bool(execute(context, stream))
        shapes = dict(context._shapes)

        def work() -> None:
            assert shapes == context._shapes
            assert execute(context, stream)

        gpu.runtime.enqueue(stream, work)
        return True

    return execute_async_v3
