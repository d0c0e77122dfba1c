"""Takes one of the two networks out of an ONNX model that sees clips, without the package `onnx`. Pure.

They share nothing but the file: CLIP to NEWEST_MAP, and INPUT with CLIP_MAP to OUTPUTS; see `edge.clip`.
"""

from collections.abc import Collection

from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP
from edge.engines import onnx_network, protobuf
from edge.engines.onnx_network import GRAPH, INITIALIZER, INPUTS, NAME, NODE, RESULTS, TENSOR_NAME, VALUE_INFO, WRITTEN
from edge.engines.protobuf import Field, ProtobufError, bytes_field
from edge.manifest import INPUT, OUTPUTS


def clip_part(model: bytes) -> bytes:
    """The model with the network alone that makes maps of clips. Raises ProtobufError where it has none."""
    return _part(model, (CLIP,), (NEWEST_MAP,))


def detector_part(model: bytes) -> bytes:
    """The model with the network alone that detects. Raises ProtobufError where it has none."""
    return _part(model, (INPUT, CLIP_MAP), OUTPUTS)


def _part(model: bytes, inputs: Collection[str], outputs: Collection[str]) -> bytes:
    edited = bytearray()
    for field in protobuf.fields(memoryview(model)):
        if field.number == GRAPH and field.content is not None:
            edited += bytes_field(GRAPH, _graph(field.content, inputs, outputs))
        else:
            edited += field.whole
    return bytes(edited)


def _graph(graph: memoryview, inputs: Collection[str], outputs: Collection[str]) -> bytes:
    """The graph with the nodes that `outputs` depend on alone, and what they read."""
    nodes = onnx_network.parts(graph, NODE)
    needed = onnx_network.needed(nodes, outputs)
    read = {name for index in needed for name in onnx_network.read(nodes[index])}
    written = {name for index in needed for name in onnx_network.names(nodes[index], WRITTEN)}
    if absent := [name for name in (*inputs, *outputs) if name not in read | written]:
        raise ProtobufError(f"nothing in it reads or gives {absent[0]}")
    wanted = {INPUTS: set(inputs), RESULTS: set(outputs), INITIALIZER: read, VALUE_INFO: written}
    kept, node = bytearray(), -1
    for part in protobuf.fields(graph):
        node += part.number == NODE and part.content is not None
        if node in needed if part.number == NODE else _stays(part, wanted):
            kept += part.whole
    return bytes(kept)


def _stays(part: Field, wanted: dict[int, set[str]]) -> bool:
    """Whether a part of the graph that is no node belongs to it; `wanted`: the names by the field's number."""
    if part.content is None or part.number not in wanted:
        return True
    number = TENSOR_NAME if part.number == INITIALIZER else NAME
    return not wanted[part.number].isdisjoint(onnx_network.names(part.content, number))
