"""Takes the network out of an ONNX model that prepares frames itself, without the package `onnx`. Pure.

What comes out reads the prepared INPUT, as a model without preprocessing does: for a machine where the CPU or cv2.cuda
prepares frames. In such a file INPUT is the name of the tensor between the two parts.
Source: onnx.proto.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edge import manifest as manifests
from edge.engines import onnx_metadata, protobuf
from edge.engines.onnx_metadata import KEY, METADATA_PROPS, VALUE
from edge.engines.protobuf import Field, ProtobufError, bytes_field, number_field
from edge.manifest import INPUT, METADATA_KEY, OUTPUTS, Manifest

GRAPH = 7  # of ModelProto
NODE, INITIALIZER, INPUTS, RESULTS, VALUE_INFO = 1, 5, 11, 12, 13  # of GraphProto
READ, WRITTEN, ATTRIBUTE = 1, 2, 5  # of NodeProto
SUBGRAPHS = (6, 11)  # of AttributeProto
NAME, TENSOR_NAME = 1, 8  # of ValueInfoProto; of TensorProto
FLOAT = 1  # of TensorProto.DataType


def without_preprocessing(model: bytes, manifest: Manifest) -> tuple[bytes, Manifest]:
    """The model from INPUT on, and the manifest that says so; `manifest` is the model's. Raises ProtobufError."""
    outside = replace(manifest, preprocessing="outside")
    edited = bytearray()
    for field in protobuf.fields(memoryview(model)):
        if field.number == GRAPH and field.content is not None:
            edited += bytes_field(GRAPH, _network(field.content, outside))
        elif not _is_manifest(field):
            edited += field.whole
    entry = bytes_field(KEY, METADATA_KEY.encode()) + bytes_field(VALUE, manifests.to_json(outside).encode())
    return bytes(edited + bytes_field(METADATA_PROPS, entry)), outside


def _is_manifest(field: Field) -> bool:
    if field.number != METADATA_PROPS or field.content is None:
        return False
    return onnx_metadata.entry(field.content)[0] == METADATA_KEY


def _network(graph: memoryview, manifest: Manifest) -> bytes:
    """The graph with the nodes between INPUT and OUTPUTS alone, and what else they read: MEMORY_INPUTS."""
    nodes = parts(graph, NODE)
    if not any(INPUT in names(node, WRITTEN) for node in nodes):
        raise ProtobufError(f"it has no tensor {INPUT} between preprocessing and network")
    inside = needed(nodes, OUTPUTS, INPUT)
    given = {name for index in inside for name in read(nodes[index])}
    written = {name for index in inside for name in names(nodes[index], WRITTEN)}
    of_memory = set(manifests.memory_shapes(manifest, 1))
    kept = bytearray(bytes_field(INPUTS, _input(manifest)))
    node = -1
    for part in protobuf.fields(graph):
        node += part.number == NODE and part.content is not None
        if _stays(part, node in inside, given, written, of_memory):
            kept += part.whole
    return bytes(kept)


def needed(nodes: Sequence[memoryview], outputs: Iterable[str], end: str = "") -> frozenset[int]:
    """The nodes that tensors of these names depend on, by index, back to the tensor `end` where that is one."""
    writer = {name: index for index, node in enumerate(nodes) for name in names(node, WRITTEN)}
    waiting, found = list(outputs), set[int]()
    while waiting:
        index = writer.get(name) if (name := waiting.pop()) != end else None
        if index is not None and index not in found:
            found.add(index)
            waiting += read(nodes[index])
    return frozenset(found)


def _stays(part: Field, needed: bool, given: set[str], written: set[str], of_memory: set[str]) -> bool:
    """Whether a part of the graph belongs to the network.

    `needed`: whether it does if it is a node; `of_memory`: the inputs that it shares with the whole.
    """
    if part.content is None:
        return True
    if part.number == NODE:
        return needed
    if part.number == INITIALIZER:
        return not given.isdisjoint(names(part.content, TENSOR_NAME))
    if part.number == RESULTS:
        return not set(OUTPUTS).isdisjoint(names(part.content, NAME))
    if part.number == VALUE_INFO:
        return not written.isdisjoint(names(part.content, NAME))
    return part.number != INPUTS or not of_memory.isdisjoint(names(part.content, NAME))


def read(node: memoryview) -> list[str]:
    """The tensors that a node reads, in its sub-graphs too, which name those of the outer graph."""
    found, waiting = list[str](), [node]
    while waiting:
        inner = waiting.pop()
        found += names(inner, READ)
        graphs = [graph for attribute in parts(inner, ATTRIBUTE) for graph in parts(attribute, *SUBGRAPHS)]
        waiting += [one for graph in graphs for one in parts(graph, NODE)]
    return found


def parts(message: memoryview, *numbers: int) -> list[memoryview]:
    """What the fields of these numbers hold."""
    return [content for number, content in protobuf.contents(message) if number in numbers]


def names(message: memoryview, number: int) -> list[str]:
    """The texts in the fields of that number."""
    return [bytes(content).decode(errors="replace") for content in parts(message, number)]


def _input(manifest: Manifest) -> bytes:
    """The ValueInfoProto of INPUT: a float tensor for any batch."""
    sizes: Mapping[int, bytes] = {
        number: number_field(1, size) for number, size in enumerate(manifests.input_shape(manifest, 0)) if number
    }
    dimensions = [sizes.get(number, bytes_field(2, b"batch")) for number in range(4)]
    shape = b"".join(bytes_field(1, dimension) for dimension in dimensions)
    tensor = number_field(1, FLOAT) + bytes_field(2, shape)
    return bytes_field(NAME, INPUT.encode()) + bytes_field(2, bytes_field(1, tensor))
