"""A fake GPU that runs a detector and its memory: TensorRT's calls, ONNX Runtime's arithmetic."""

from collections.abc import Mapping
from typing import Any

import pytest
from numpy.typing import NDArray

from edge.engines import onnx_metadata, onnxruntime_engine
from edge.manifest import METADATA_KEY
from tests.support import frame_gpu
from tests.support.fake_gpu import FakeGpu
from tests.support.fake_tensorrt import Network
from tests.support.fake_tensorrt_builder import Fault
from tests.support.memory_model import MemoryModel

REFUSAL = "the memory is not for this TensorRT"


def memory_gpu(version: str, model: MemoryModel, refuses: bool = False) -> FakeGpu:
    """A GPU of which engines answer as that model's files do; `refuses`: the parser takes no memory."""
    gpu = frame_gpu.frame_gpu(version, model.detector)
    of_detector, memory = gpu.trt.compute, onnxruntime_engine.load(model.detector, 1).memory
    assert memory is not None

    def compute(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return (memory.infer if "memory_0" in inputs else of_detector)(inputs)

    gpu.trt.compute, gpu.trt.network_of = compute, _parsed
    gpu.trt.faults_of = lambda content: [Fault(REFUSAL)] * (refuses and not _is_detector(content))
    return gpu


def _is_detector(model: bytes) -> bool:
    return METADATA_KEY in onnx_metadata.read(model)


def _parsed(model: bytes) -> Network:
    """What a parser finds in either file."""
    if _is_detector(model):
        return frame_gpu.parsed(model)
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    graph = onnx.load_from_string(model).graph
    inputs, outputs = (
        {one.name: ((-1, *[d.dim_value for d in one.type.tensor_type.shape.dim][1:]), "FLOAT") for one in tensors}
        for tensors in (graph.input, graph.output)
    )
    return Network(inputs, outputs)
