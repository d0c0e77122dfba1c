"""The tiny model in several precisions, and a TensorRT that refuses some of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.fake_gpu import FakeGpu
from tests.support.tiny_model import MANIFEST, write_tiny_model

Settings = Mapping[str, Any]


def with_precisions(folder: Path) -> None:
    """The model in three files of the same weights."""
    write(folder / "tiny.onnx", "fp32")
    write(folder / "tiny-fp16.onnx", "fp16")
    write(folder / "tiny-int8-fp16.onnx", "int8", {"target": "tensorrt", "rest": "fp16"})


def write(path: Path, precision: str, quantisation: Settings | None = None) -> None:
    noted = {"quantisation": quantisation} if quantisation else {}
    write_tiny_model(path, replace(MANIFEST, precision=precision, training={"weights": "a1", **noted}))


def refuse_first(gpu: FakeGpu, count: int) -> None:
    """The builder refuses so many builds."""
    build, refused = gpu.trt.Builder.build_serialized_network, list[None]()

    def build_serialized_network(builder: Any, network: Any, config: Any) -> Any:
        refused.append(None)
        return build(builder, network, config) if len(refused) > count else None

    gpu.trt.Builder.build_serialized_network = build_serialized_network
