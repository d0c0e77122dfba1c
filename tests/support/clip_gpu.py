"""A fake GPU that runs both networks of a model that sees clips: TensorRT's calls, ONNX Runtime's arithmetic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from edge.clip import CLIP
from edge.engines import onnxruntime_engine
from tests.support import frame_gpu
from tests.support.fake_gpu import FakeGpu
from tests.support.fake_tensorrt import Network
from tests.support.fake_tensorrt_builder import Fault

REFUSAL = "no Conv of three dimensions here"


def clip_gpu(version: str, model: Path, refuses: bool = False) -> FakeGpu:
    """A GPU of which engines answer as that model does; `refuses`: the parser takes nothing that reads clips."""
    gpu = frame_gpu.frame_gpu(version, model)
    of_detector, branch = gpu.trt.compute, onnxruntime_engine.load(model, 1).clip
    assert branch is not None

    def compute(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return branch.infer(inputs) if CLIP in inputs else of_detector(inputs)

    gpu.trt.compute, gpu.trt.network_of = compute, _parsed
    gpu.trt.faults_of = lambda content: [Fault(REFUSAL)] * (refuses and CLIP in _parsed(content).inputs)
    return gpu


def _parsed(model: bytes) -> Network:
    """What a parser finds in a part of the file."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    graph = onnx.load_from_string(model).graph
    inputs, outputs = (
        {
            one.name: (
                (-1, *[d.dim_value for d in one.type.tensor_type.shape.dim][1:]),
                frame_gpu.KINDS[one.type.tensor_type.elem_type],
            )
            for one in tensors
        }
        for tensors in (graph.input, graph.output)
    )
    return Network(inputs, outputs)
