"""ONNX → the same with FP16 weights and arithmetic, by casts in the file. Shell over onnx.

The first convolutions, the heads' last ones and the decoding stay in FP32, so that pixels, scores and the numbers of
peaks are as exact as before; what lies between is FP16 throughout, with one cast at each input and output. The public
converters cast in front of every node that is to stay as it is, and lose large indices in the decoding.

Of an INT8 model its Q/DQ pairs stay, with scales in FP16, so that a strongly typed TensorRT computes what is not
quantised in FP16 too. Such scales exist from opset 19 on.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, version_converter

from convert import onnx_file, onnx_graph
from convert.quantize import QuantizeError, half_around_int8, open_model, without_scores
from edge.engines import memory_file
from edge.manifest import Manifest

FLOAT_INPUTS = {  # operators with inputs of other types: which are data
    "DequantizeLinear": (1,),
    "QuantizeLinear": (0, 1),
    "Resize": (0,),
    "Split": (0,),
}
MAX_FP16 = float(np.finfo(np.float16).max)
LEAST_FP16 = np.finfo(np.float16).smallest_subnormal
SCALES_OPSET = 19  # the first whose Q/DQ pairs may have scales in FP16
SCALES_IR = 9  # that opset's version of the file format
LEVELS = 127  # of a symmetric int8 range, one side of it


def convert_file(source: Path, output: Path) -> Manifest:
    """Write the model `source` as FP16 to `output`; of one in INT8, what that has not quantised.

    Raises QuantizeError, OnnxFileError, EngineError.
    """
    model, manifest = open_model(source, ("fp32", "int8"))
    if manifest.precision == "int8":
        changed = half_around_int8(manifest, source)
        model = with_fp16_scales(model)
    else:
        changed = replace(manifest, precision="fp16", training=without_scores(manifest))
    memory_file.copy_beside(source, output, changed.memory)
    onnx_file.write(converted(model), changed, output)
    return changed


def with_fp16_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose scales FP16 can hold, in the opset that allows them so; weights are rounded anew to theirs.

    A channel without weights, or a tensor that is nearly zero, has a scale so small that FP16 makes it zero, by which
    nothing can be divided.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    onnx_graph.sort_nodes(made)
    if made.opset_import[0].version < SCALES_OPSET:
        made = version_converter.convert_version(made, SCALES_OPSET)
    made.ir_version = max(made.ir_version, SCALES_IR)
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    for node in made.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            _round_weights(node, constants)
        elif node.op_type in ("DequantizeLinear", "QuantizeLinear") and node.input[1] in constants:
            scale = constants[node.input[1]]
            held = np.maximum(numpy_helper.to_array(scale), np.float32(LEAST_FP16))
            scale.CopyFrom(numpy_helper.from_array(held, scale.name))
    return made


def _round_weights(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> None:
    """Give int8 weights (channels first in `axis`) the scales that FP16 can hold, in place."""
    weights, scale = (numpy_helper.to_array(constants[name]) for name in node.input[:2])
    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
    held = np.maximum(scale.astype(np.float16), LEAST_FP16).astype(np.float32)
    shape = [-1 if place == axis else 1 for place in range(weights.ndim)] if scale.ndim else []
    ratio = (scale.astype(np.float64) / held).reshape(shape)
    rounded = np.clip(np.rint(weights * ratio), -LEVELS - 1, LEVELS).astype(weights.dtype)
    constants[node.input[0]].CopyFrom(numpy_helper.from_array(rounded, node.input[0]))
    constants[node.input[1]].CopyFrom(numpy_helper.from_array(held, node.input[1]))


def converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose body computes in FP16; input and outputs stay FP32. QuantizeError where a weight is too large."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]  # types of tensors that change
    body = onnx_graph.body(model) | onnx_graph.weights_of(model, onnx_graph.body(model))
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in made.graph.node if node.op_type == "Constant"}
    inside = {name for node in made.graph.node if node.name in body for name in node.output}
    others = onnx_graph.not_floats(model)
    nodes: list[onnx.NodeProto] = []
    known: set[str] = set()  # tensors that have a cast or an FP16 constant already
    for node in list(made.graph.node):
        for place, name in _data_inputs(node):
            if name in others:
                continue
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
