"""Reads an ONNX file's metadata without the package `onnx`, which a device does not have. Pure.

Only as much of protobuf as that needs: of the fields of ModelProto `metadata_props` (field 14, a StringStringEntryProto
each: key 1, value 2), and all places of tensors, for those that name another file.
Source: onnx.proto, protobuf's description of its wire format.
"""

from collections.abc import Iterator

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
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3 and 4) are not used
LONGEST_VARINT = 10  # bytes


class OnnxMetadataError(ValueError):
    """Bytes that are not an ONNX model, or only the beginning of one."""


def read(model: bytes) -> dict[str, str]:
    """The metadata of a model, by key. Raises OnnxMetadataError."""
    view = memoryview(model)
    entries = [dict(_fields(entry)) for number, entry in _fields(view) if number == METADATA_PROPS]
    try:
        return {bytes(e.get(KEY, b"")).decode(): bytes(e.get(VALUE, b"")).decode() for e in entries}
    except UnicodeDecodeError as error:
        raise OnnxMetadataError("its metadata is not text") from error


def external_files(model: bytes) -> tuple[str, ...]:
    """The files that a model's tensors are stored in, as it names them, in no order. Raises OnnxMetadataError.

    They may be any, `../../etc/shadow` too. Our models contain all of their weights.
    """
    waiting = [("model", memoryview(model))]
    entries = []
    while waiting:
        kind, message = waiting.pop()
        if kind == "entry":
            entries.append(dict(_fields(message)))
        else:
            inside = INSIDE[kind]
            waiting += [(inside[number], content) for number, content in _fields(message) if number in inside]
    named = [e for e in entries if bytes(e.get(KEY, b"")) == b"location"]
    return tuple(bytes(e.get(VALUE, b"")).decode(errors="replace") for e in named)


def fault(model: bytes) -> str:
    """Why these bytes must not be run as a model, with the remedy; "" where no reason is found."""
    try:
        others = external_files(model)
    except OnnxMetadataError as error:
        return (
            f"is not a complete ONNX file ({error}), nor a TensorRT engine; export or copy it again, or rebuild "
            "the engine with korsal-convert build"
        )
    if others:
        return f"keeps weights in another file ({others[0]}), which is not read; export it as one file"
    return ""


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, content) of each field that holds bytes, in order; others are skipped."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        size, at = _size(message, at, wire)
        if number == 0 or at + size > len(message):
            raise OnnxMetadataError("it is truncated" if number else "it is not protobuf")
        if wire == BYTES:
            yield number, message[at : at + size]
        at += size


def _size(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    """The size of the field's content, and where it begins."""
    if wire == BYTES:
        return _varint(message, at)
    if wire == VARINT:
        return 0, _varint(message, at)[1]
    if wire in (FIXED64, FIXED32):
        return (8 if wire == FIXED64 else 4), at
    raise OnnxMetadataError("it is not protobuf")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for place in range(LONGEST_VARINT):
        if at + place >= len(message):
            raise OnnxMetadataError("it is truncated")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise OnnxMetadataError("it is not protobuf")
