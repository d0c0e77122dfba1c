"""What each convolution loses when it alone is quantised: which to keep in floating point. Shell over onnxruntime."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from convert import onnx_graph
from convert.calibration import Input
from convert.quantize import QuantizeSettings, always_kept, with_ranges
from edge.terminal import progress


@dataclass(frozen=True)
class NodeSensitivity:
    """One convolution, and the signal-to-noise ratio of the heads, dB, when it alone is quantised: lower is worse."""

    node: str
    decibels: float


def sensitivity(
    model: onnx.ModelProto, ranges: Any, images: Sequence[Input], settings: QuantizeSettings
) -> Iterator[NodeSensitivity]:
    """Every convolution that may be quantised, in the order of the graph; `images` are network inputs."""
    heads = sorted(node.output[0] for node in model.graph.node if node.name in onnx_graph.last_convolutions(model))
    exact = _heads(model, heads, images)
    every = set(onnx_graph.convolutions(model)) | {n.name for n in model.graph.node if n.op_type in ("Add", "Resize")}
    tried = [node for node in onnx_graph.convolutions(model) if node not in always_kept(model)]
    for node in progress.track(tried, "quantising each alone", "convolution", len(tried)):
        alone = with_ranges(model, ranges, replace(settings, keep=tuple(sorted(every - {node}))))
        yield NodeSensitivity(node, decibels(exact, _heads(alone, heads, images)))


def worst(losses: Sequence[NodeSensitivity], count: int) -> tuple[str, ...]:
    """The names of the convolutions that lose most."""
    return tuple(loss.node for loss in sorted(losses, key=lambda loss: loss.decibels)[:count])


def decibels(exact: Sequence[NDArray[np.float32]], rounded: Sequence[NDArray[np.float32]]) -> float:
    """Signal-to-noise ratio, dB, the lowest of the tensors'; infinite where nothing changed."""
    return min(_ratio(one.astype(np.float64), other) for one, other in zip(exact, rounded, strict=True))


def _ratio(exact: NDArray[np.float64], rounded: NDArray[np.float32]) -> float:
    noise = float(np.square(exact - rounded).sum())
    return float("inf") if noise == 0 else float(10 * np.log10(np.square(exact).sum() / noise))


def _heads(model: onnx.ModelProto, heads: Sequence[str], images: Sequence[Input]) -> list[NDArray[np.float32]]:
    """The heads' outputs before decoding, each over all images (N, channels, h, w)."""
    import onnxruntime

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in heads)
    session = onnxruntime.InferenceSession(opened.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [session.run(list(heads), dict(image)) for image in images]
    return [np.concatenate([run[i] for run in runs]) for i in range(len(heads))]
