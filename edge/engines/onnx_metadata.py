"""Reads an ONNX file's metadata without the package `onnx`, which a device does not have. Pure.

Only as much of it as that needs: of the fields of ModelProto `metadata_props` (field 14, a StringStringEntryProto
each: key 1, value 2), and all places of tensors, for those that name another file.
Source: onnx.proto.
"""

from edge.engines import protobuf
from edge.engines.protobuf import ProtobufError

METADATA_PROPS = 14
EXTERNAL_DATA = 13  # of a TensorProto: entries as those of the metadata, "location" the one with the file
INSIDE: dict[str, dict[int, str]] = {  # by kind of message: its fields that may contain tensors, and their kinds
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {EXTERNAL_DATA: "entry"},
}
KEY, VALUE = 1, 2


def read(model: bytes) -> dict[str, str]:
    """The metadata of a model, by key. Raises ProtobufError."""
    try:
        view = memoryview(model)
        return dict(entry(content) for number, content in protobuf.contents(view) if number == METADATA_PROPS)
    except UnicodeDecodeError as error:
        raise ProtobufError("its metadata is not text") from error


def entry(message: memoryview) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto."""
    parts = dict(protobuf.contents(message))
    return bytes(parts.get(KEY, b"")).decode(), bytes(parts.get(VALUE, b"")).decode()


def external_files(model: bytes) -> tuple[str, ...]:
    """The files that a model's tensors are stored in, as it names them, in no order. Raises ProtobufError.

    They may be any, `../../etc/shadow` too. Our models contain all of their weights.
    """
    waiting = [("model", memoryview(model))]
    entries = []
    while waiting:
        kind, message = waiting.pop()
        if kind == "entry":
            entries.append(dict(protobuf.contents(message)))
        else:
            inside = INSIDE[kind]
            waiting += [(inside[number], content) for number, content in protobuf.contents(message) if number in inside]
    named = [e for e in entries if bytes(e.get(KEY, b"")) == b"location"]
    return tuple(bytes(e.get(VALUE, b"")).decode(errors="replace") for e in named)


def fault(model: bytes) -> str:
    """Why these bytes must not be run as a model, with the remedy; "" where no reason is found."""
    try:
        others = external_files(model)
    except ProtobufError as error:
        return (
            f"is not a complete ONNX file ({error}), nor a TensorRT engine; export or copy it again, or rebuild "
            "the engine with korsal-convert build"
        )
    if others:
        return f"keeps weights in another file ({others[0]}), which is not read; export it as one file"
    return ""
