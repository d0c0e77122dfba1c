"""The parts of an exported graph: its first and last convolutions, and the decoding behind them. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

DEFORMABLE = "DeformConv"
PEAKS = "TopK"  # the operator that finds them
DIGEST_DIGITS = 16
OFFSET_INPUTS = (2, 4)  # of its inputs, those with offsets and masks


def weights_digest(model: onnx.ModelProto) -> str:
    """SHA-256 of the weights of an FP32 model, hexadecimal, shortened; names and order do not matter."""
    stored = (t for t in model.graph.initializer if t.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16))
    values = (numpy_helper.to_array(tensor).astype(np.float32) for tensor in stored)
    each = sorted(hashlib.sha256(one.tobytes()).digest() for one in values)
    return hashlib.sha256(b"".join(each)).hexdigest()[:DIGEST_DIGITS]


def convolutions(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of all convolutions, in the order of the graph."""
    return tuple(node.name for node in model.graph.node if node.op_type == "Conv")


def first_convolutions(model: onnx.ModelProto) -> frozenset[str]:
    """Convolutions that read the image, with no other convolution before them."""
    return frozenset(_without_another(model.graph.node, _producers(model)))


def last_convolutions(model: onnx.ModelProto) -> frozenset[str]:
    """Convolutions behind which there is no other: those that give the heads, and the map that a second look reads.

    What looks at boxes once they are found, behind the peaks, belongs to the decoding.
    """
    behind = _behind(model)
    peaks = [node.name for node in model.graph.node if node.op_type == PEAKS]
    heavy = set(convolutions(model)).difference(*(behind[name] for name in peaks))
    return frozenset(name for name in heavy if not (behind[name] - {name}) & heavy)


def deformable_convolutions(model: onnx.ModelProto) -> frozenset[str]:
    """Deformable convolutions and the ordinary ones that give their offsets and masks."""
    producers = _producers(model)
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == DEFORMABLE:
            found.add(node.name)
            pending = [node.input[place] for place in OFFSET_INPUTS]
            while pending:  # back to the nearest convolution
                before = producers.get(pending.pop())
                if before is not None and before.op_type == "Conv":
                    found.add(before.name)
                elif before is not None:
                    pending.extend(before.input)
    return frozenset(found)


def grouped_transposed_convolutions(model: onnx.ModelProto) -> frozenset[str]:
    """Transposed convolutions in groups, as those that do no more than interpolate."""
    transposed = [node for node in model.graph.node if node.op_type == "ConvTranspose"]
    return frozenset(node.name for node in transposed if any(a.name == "group" and a.i > 1 for a in node.attribute))


def bypass_quantization(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Let the nodes of these names read the input of a Q/DQ pair made for other nodes; in place."""
    producers = _producers(model)
    for node in model.graph.node:
        if node.name in names:
            for place, name in enumerate(node.input):
                rounded = producers.get(name)
                if rounded is not None and rounded.op_type == "DequantizeLinear" and rounded.input[0] in producers:
                    node.input[place] = producers[rounded.input[0]].input[0]


def sort_nodes(model: onnx.ModelProto) -> None:
    """Put every node behind those whose outputs it reads, as ONNX demands and its quantisers do not; in place."""
    known = {"", *(tensor.name for tensor in (*model.graph.initializer, *model.graph.input))}
    waiting, nodes = list(model.graph.node), []
    while ready := [node for node in waiting if known.issuperset(node.input)]:
        nodes += ready
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *waiting])


def share_constants(model: onnx.ModelProto) -> None:
    """Keep the first of all equal Constant nodes, in place; a model with graphs inside of nodes stays as it is."""
    if _holds_graphs(model):
        return
    given = {output.name for output in model.graph.output}
    first: dict[bytes, str] = {}
    instead: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] not in given:
            value = node.attribute[0].SerializeToString(deterministic=True)
            instead[node.output[0]] = first.setdefault(value, node.output[0])
            if instead[node.output[0]] != node.output[0]:
                continue
        node.input[:] = [instead.get(name, name) for name in node.input]
        kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def number_tensors(model: onnx.ModelProto) -> None:
    """Give short names to what nodes hand to each other, in place: long ones take as much room as a layer.

    A model with graphs inside of nodes stays as it is.
    """
    if _holds_graphs(model):
        return
    given = {output.name for output in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name and name not in given]
    numbers = {name: str(number) for number, name in enumerate(made)}
    for node in model.graph.node:
        node.input[:] = [numbers.get(name, name) for name in node.input]
        node.output[:] = [numbers.get(name, name) for name in node.output]
    for value in model.graph.value_info:
        value.name = numbers.get(value.name, value.name)


def store_halves(model: onnx.ModelProto, prefix: str) -> None:
    """Store in FP16 what FP16 holds exactly of the weights so named, with a cast behind each, in place: half the room.

    Not for layers that are to be quantised: a quantiser takes no weights from a cast.
    """
    casts = []
    for tensor in model.graph.initializer:
        name, value = tensor.name, numpy_helper.to_array(tensor)
        if name.startswith(prefix) and value.dtype == np.float32:
            with np.errstate(over="ignore"):
                half = value.astype(np.float16)
            if (half == value).all():
                stored, to = f"{name}.half", onnx.TensorProto.FLOAT
                casts.append(onnx.helper.make_node("Cast", [stored], [name], name=f"{name}.cast", to=to))
                tensor.CopyFrom(numpy_helper.from_array(half, stored))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def decoding(model: onnx.ModelProto) -> frozenset[str]:
    """All that comes after the last convolutions, and the constants that only it reads."""
    behind, readers = _behind(model), _readers(model)
    last = last_convolutions(model)
    after = set().union(*(behind[name] for name in last)) - last
    constants = {node.name for node in model.graph.node if not node.input and _names(readers, node.output) <= after}
    return frozenset(after | constants)


def body(model: onnx.ModelProto) -> frozenset[str]:
    """All that comes after the first convolutions and before the last ones, neither of them included."""
    behind = _behind(model)
    first = first_convolutions(model)
    after = set().union(*(behind[name] for name in first)) - first
    return frozenset(after - last_convolutions(model) - decoding(model))


def weights_of(model: onnx.ModelProto, names: Collection[str]) -> frozenset[str]:
    """Nodes that dequantise weights for nodes of these names alone."""
    readers = _readers(model)
    made = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.name not in names]
    return frozenset(node.name for node in made if _names(readers, node.output) <= set(names))


def not_floats(model: onnx.ModelProto) -> frozenset[str]:
    """The tensors that are known to hold no float32: shapes, places and the like."""
    graph, single = model.graph, onnx.TensorProto.FLOAT
    stored = [(tensor.name, tensor.data_type) for tensor in graph.initializer]
    stored += [(node.output[0], node.attribute[0].t.data_type) for node in graph.node if _is_constant(node)]
    values = (*graph.value_info, *graph.input, *graph.output)
    kinds = [*stored, *((one.name, one.type.tensor_type.elem_type) for one in values)]
    return frozenset(name for name, kind in kinds if kind not in (single, onnx.TensorProto.UNDEFINED))


def _holds_graphs(model: onnx.ModelProto) -> bool:
    return any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute)


def _is_constant(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and node.attribute[0].name == "value"


def _producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """By the name of a tensor, the node that makes it."""
    return {name: node for node in model.graph.node for name in node.output}


def _readers(model: onnx.ModelProto) -> dict[str, set[str]]:
    """By the name of a tensor, the names of the nodes that read it."""
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.name)
    return readers


def _names(readers: Mapping[str, set[str]], tensors: Iterable[str]) -> set[str]:
    return set().union(*(readers.get(name, set()) for name in tensors))


def _behind(model: onnx.ModelProto) -> dict[str, set[str]]:
    """By the name of a node, that of every node that depends on it, itself included."""
    readers = _readers(model)
    behind: dict[str, set[str]] = {}
    for node in reversed(model.graph.node):  # a graph is in the order of its data
        behind[node.name] = {node.name}.union(*(behind[name] for name in _names(readers, node.output)))
    return behind


def _without_another(nodes: Iterable[onnx.NodeProto], producers: Mapping[str, onnx.NodeProto]) -> Iterable[str]:
    """Convolutions with none before them."""
    below: set[str] = set()  # nodes that are convolutions or depend on one
    for node in nodes:
        depends = any(name in producers and producers[name].name in below for name in node.input)
        if node.op_type == "Conv" and not depends:
            yield node.name
        if node.op_type == "Conv" or depends:
            below.add(node.name)
