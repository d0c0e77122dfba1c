"""The metadata of an ONNX file, read without the package `onnx`, which a device does not have. Pure.

Only as much of protobuf as that needs: the fields of ModelProto in order, and of them `metadata_props` (field 14,
a StringStringEntryProto each: key 1, value 2). Source: onnx.proto, protobuf's description of its wire format.
"""

from collections.abc import Iterator

METADATA_PROPS = 14
KEY, VALUE = 1, 2
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3 and 4) do not occur
LONGEST_VARINT = 10  # bytes


class OnnxMetadataError(ValueError):
    """Bytes that are no ONNX model, or the beginning of one."""


def read(model: bytes) -> dict[str, str]:
    """What a model says of itself, by key. Raises OnnxMetadataError."""
    view = memoryview(model)
    entries = [dict(_fields(entry)) for number, entry in _fields(view) if number == METADATA_PROPS]
    try:
        return {bytes(e.get(KEY, b"")).decode(): bytes(e.get(VALUE, b"")).decode() for e in entries}
    except UnicodeDecodeError as error:
        raise OnnxMetadataError("its metadata is no text") from error


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, content) of each field that holds bytes, in order; others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        size, at = _size(message, at, wire)
        if number == 0 or at + size > len(message):
            raise OnnxMetadataError("it ends in the middle" if number else "it is no protobuf")
        if wire == BYTES:
            yield number, message[at : at + size]
        at += size


def _size(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    """How many bytes the field's content has, and where it begins."""
    if wire == BYTES:
        return _varint(message, at)
    if wire == VARINT:
        return 0, _varint(message, at)[1]
    if wire in (FIXED64, FIXED32):
        return (8 if wire == FIXED64 else 4), at
    raise OnnxMetadataError("it is no protobuf")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for place in range(LONGEST_VARINT):
        if at + place >= len(message):
            raise OnnxMetadataError("it ends in the middle")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise OnnxMetadataError("it is no protobuf")
