"""A fake GPU that runs ONNX files which prepare frames themselves: TensorRT's calls, ONNX Runtime's arithmetic."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.engines import onnx_metadata, onnxruntime_engine
from edge.manifest import FRAME, INPUT, Manifest, input_shapes, output_shapes
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.fake_tensorrt import Layer, Network

INTEGERS = ("labels", "shift")
KINDS = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "HALF"}  # of TensorProto.DataType


def frame_gpu(version: str, onnx: Path, failing: Mapping[str, str] | None = None) -> FakeGpu:
    """A GPU whose parser finds what the manifest of an ONNX says, and which computes as the one at `onnx` does."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'korsal-edge[cpu]'")
    sessions = {
        FRAME: onnxruntime_engine.load(onnx, 1, preprocessing="graph"),
        INPUT: onnxruntime_engine.load(onnx, 1),
    }

    def compute(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return sessions[FRAME if FRAME in inputs else INPUT].infer(dict(inputs))

    gpu = fake_gpu(version, failing=failing, compute=compute)
    gpu.trt.network_of = parsed
    return gpu


def parsed(model: bytes) -> Network:
    """What a parser finds in an ONNX of ours."""
    found = network(manifests.from_json(onnx_metadata.read(model)[manifests.METADATA_KEY]))
    return replace(found, layers=layers(model))


def layers(model: bytes) -> list[Layer]:
    """A layer for each node, with the types that shape inference finds; constants are left out."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    kinds = {one.name: KINDS[one.type.tensor_type.elem_type] for one in values}
    kinds |= {one.name: KINDS[one.data_type] for one in graph.initializer}
    return [
        Layer(node.name, *({name: kinds[name] for name in names if name} for names in (node.input, node.output)))
        for node in graph.node
    ]


def network(manifest: Manifest) -> Network:
    """The inputs and outputs of an ONNX with that manifest."""
    inputs = {
        name: ((-1, *shape[1:]), "UINT8" if name == FRAME else "FLOAT")
        for name, shape in input_shapes(manifest, 1, (-1, -1)).items()
    }
    outputs = {
        name: ((-1, *shape[1:]), "INT64" if name in INTEGERS else "FLOAT")
        for name, shape in output_shapes(manifest, 1).items()
    }
    return Network(inputs, outputs)
