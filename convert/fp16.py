"""ONNX → the same with FP16 weights and arithmetic, by casts in the file. Shell over onnx.

The first convolutions, the heads' last ones and the decoding stay in FP32, so that pixels, scores and the numbers of
peaks are as exact as before; what lies between is FP16 throughout, with one cast at each input and output. The public
converters cast in front of every node that is to stay as it is, and lose large indices in the decoding.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from convert import onnx_file, onnx_graph
from convert.quantize import QuantizeError, open_model
from edge.manifest import Manifest

FLOAT_INPUTS = {"Resize": (0,), "Split": (0,)}  # operators with inputs of other types: which are data
MAX_FP16 = float(np.finfo(np.float16).max)


def convert_file(source: Path, output: Path) -> Manifest:
    """Write the FP32 model `source` as FP16 to `output`. Raises QuantizeError, OnnxFileError."""
    model, manifest = open_model(source)
    changed = replace(manifest, precision="fp16")
    onnx_file.write(converted(model), changed, output)
    return changed


def converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose body computes in FP16; input and outputs stay FP32. QuantizeError where a weight is too large."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]  # types of tensors that change
    body = onnx_graph.body(model)
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in made.graph.node if node.op_type == "Constant"}
    inside = {name for node in made.graph.node if node.name in body for name in node.output}
    nodes: list[onnx.NodeProto] = []
    known: set[str] = set()  # tensors that have a cast or an FP16 constant already
    for node in list(made.graph.node):
        for place, name in _data_inputs(node):
            if node.name in body and name not in inside:
                nodes += _to_fp16(made, name, constants, known)
                node.input[place] = _fp16_name(name)
            elif node.name not in body and name in inside:
                nodes += _to_fp32(name, known)
                node.input[place] = _fp32_name(name)
        nodes.append(node)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    _remove_unused(made)
    return made


def _data_inputs(node: onnx.NodeProto) -> Iterator[tuple[int, str]]:
    """The inputs that carry data, each with its place."""
    places = FLOAT_INPUTS.get(node.op_type)
    return ((i, name) for i, name in enumerate(node.input) if name and (places is None or i in places))


def _to_fp16(
    model: onnx.ModelProto, name: str, constants: dict[str, onnx.TensorProto], known: set[str]
) -> Iterator[onnx.NodeProto]:
    """The cast of a tensor that comes in; a constant is converted at once."""
    if _fp16_name(name) in known:
        return
    known.add(_fp16_name(name))
    if name not in constants:
        yield onnx.helper.make_node(
            "Cast", [name], [_fp16_name(name)], name=_fp16_name(name), to=onnx.TensorProto.FLOAT16
        )
        return
    value = numpy_helper.to_array(constants[name])
    if np.abs(value[np.isfinite(value)]).max(initial=0) > MAX_FP16:
        raise QuantizeError(f"{name}: holds a weight beyond {MAX_FP16:g}, too large for FP16; use FP32 or INT8")
    model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), _fp16_name(name)))


def _to_fp32(name: str, known: set[str]) -> Iterator[onnx.NodeProto]:
    """The cast of a tensor that goes out."""
    if _fp32_name(name) not in known:
        known.add(_fp32_name(name))
        yield onnx.helper.make_node(
            "Cast", [name], [_fp32_name(name)], name=_fp32_name(name), to=onnx.TensorProto.FLOAT
        )


def _fp16_name(name: str) -> str:
    return f"{name}.half"


def _fp32_name(name: str) -> str:
    return f"{name}.single"


def _remove_unused(model: onnx.ModelProto) -> None:
    """Removes constants that only their FP16 copies replaced."""
    read = {name for node in model.graph.node for name in node.input}
    stay = [tensor for tensor in model.graph.initializer if tensor.name in read]
    nodes = [node for node in model.graph.node if node.op_type != "Constant" or node.output[0] in read]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(stay)
    model.graph.node.extend(nodes)
