"""Stands in for python3-libnvinfer on a machine without a GPU: the recording fake of the tests, computing on the CPU.

VERSION beside it names the TensorRT that it plays. An engine is the ONNX file that it was made of, which ONNX Runtime
computes. It proves that the daemon finds the bindings, builds, stores, loads and rebuilds engines, and calls them in
the right order; not that TensorRT takes the model, what it computes, how long a build takes or how fast it is.
"""

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE / "korsal-stand-ins"))  # a copy of the fake
from tests.support import fake_tensorrt  # noqa: E402
from tests.support.fake_tensorrt_builder import HEADER, Memory, version_bytes  # noqa: E402

KINDS = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64", "tensor(uint8)": "UINT8"}


class Model:
    """An ONNX file in ONNX Runtime."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime  # install.sh asks for the version with a Python that has none

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # on a busy machine the threads of one operator would only wait for each other
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def network(self) -> fake_tensorrt.Network:
        """Its inputs and outputs."""
        return fake_tensorrt.Network(_tensors(self.session.get_inputs()), _tensors(self.session.get_outputs()))

    def compute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Its outputs, by name."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, dict(inputs)), strict=True))


def _tensors(found: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """By name: the shape, with -1 where the file names no size, and TensorRT's type."""
    shapes = {one.name: tuple(size if isinstance(size, int) else -1 for size in one.shape) for one in found}
    return {one.name: (shapes[one.name], KINDS[one.type]) for one in found}


class StandIn(fake_tensorrt.FakeTensorRT):
    """The fake, for the ONNX file that it is given to parse or finds in an engine."""

    content = b""

    def record(self, call: str, *given: Any) -> None:
        super().record(call, *(type(one).__name__ if isinstance(one, bytes) else one for one in given))
        self.recorded = self.recorded[-1000:]  # a daemon runs long
        if call == "OnnxParser.parse":
            self.content = given[0]
            self.network = Model(self.content).network()


def _stand_in() -> StandIn:
    version = (HERE / "VERSION").read_text().strip()
    trt = StandIn(version, fake_tensorrt.Network(), faults=(), failing={}, compute=None)
    build, load = trt.Builder.build_serialized_network, trt.Runtime.deserialize_cuda_engine

    def build_with_model(self: Any, network: Any, config: Any) -> Memory | None:
        plan = build(self, network, config)
        if plan is None:
            return None
        told = json.loads(plan[HEADER.size :])
        rest = json.dumps({**told, "model": base64.b64encode(trt.content).decode()}).encode()
        return Memory(HEADER.pack(b"ftrt", HEADER.size + len(rest), *version_bytes(trt.__version__)) + rest)

    def load_with_model(self: Any, serialized_engine: Any) -> Any:
        engine = load(self, serialized_engine)
        if engine is not None:
            told = json.loads(bytes(serialized_engine)[HEADER.size :])
            trt.compute = Model(base64.b64decode(told["model"])).compute
        return engine

    trt.Builder.build_serialized_network = build_with_model
    trt.Runtime.deserialize_cuda_engine = load_with_model
    return trt


sys.modules[__name__] = _stand_in()
