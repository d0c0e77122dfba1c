"""A fake GPU that runs ONNX files which prepare frames themselves: TensorRT's calls, ONNX Runtime's arithmetic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.engines import onnx_metadata, onnxruntime_engine
from edge.manifest import FRAME, INPUT, Manifest, input_shapes, output_shapes
from tests.support.fake_gpu import FakeGpu, fake_gpu
from tests.support.fake_tensorrt import Network

INTEGERS = ("labels", "shift")


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
    gpu.trt.network_of = lambda model: network(manifests.from_json(onnx_metadata.read(model)[manifests.METADATA_KEY]))
    return gpu


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
