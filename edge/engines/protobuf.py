"""Reads and writes protobuf's wire format, without a schema: the fields of a message in order. Pure.

Source: protobuf's description of its encoding. Groups (wire types 3 and 4) are not used by ONNX.
"""

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LONGEST_VARINT = 10  # bytes


class ProtobufError(ValueError):
    """Bytes that are not protobuf, or only the beginning of a message."""


class Field(NamedTuple):
    """One field: its number, its content where that is bytes (None: a number), and the whole field as it stands."""

    number: int
    content: memoryview | None
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message in order. Raises ProtobufError."""
    at = 0
    while at < len(message):
        begin = at
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        size, at = _size(message, at, wire)
        if number == 0 or at + size > len(message):
            raise ProtobufError("it is truncated" if number else "it is not protobuf")
        content = message[at : at + size] if wire == BYTES else None
        at += size
        yield Field(number, content, message[begin:at])


def contents(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(number, content) of each field that holds bytes, in order; others are skipped. Raises ProtobufError."""
    return ((field.number, field.content) for field in fields(message) if field.content is not None)


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that holds bytes, text or a message."""
    return number_bytes(number << 3 | BYTES) + number_bytes(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A field that holds an integer, at least 0."""
    return number_bytes(number << 3 | VARINT) + number_bytes(value)


def number_bytes(value: int) -> bytes:
    """An integer, at least 0, of seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _size(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    """The size of the field's content, and where it begins."""
    if wire == BYTES:
        return _varint(message, at)
    if wire == VARINT:
        return 0, _varint(message, at)[1]
    if wire in (FIXED64, FIXED32):
        return (8 if wire == FIXED64 else 4), at
    raise ProtobufError("it is not protobuf")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for place in range(LONGEST_VARINT):
        if at + place >= len(message):
            raise ProtobufError("it is truncated")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ProtobufError("it is not protobuf")
