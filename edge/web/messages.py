"""What daemon and page send each other: a header in JSON, and a body of bytes. Pure."""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LENGTHS = struct.Struct("!II")  # of header and body, bytes
MOST_BYTES = 16 * 1024 * 1024  # of a message


class MessageError(ValueError):
    """Bytes that are no message."""


class PageMessage(NamedTuple):
    """One message; `header["kind"]` says which."""

    header: dict[str, Any]
    body: bytes


def pack(header: Mapping[str, object], body: bytes = b"") -> bytes:
    """The message as bytes. Raises MessageError where it is too long or no JSON."""
    try:
        text = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise MessageError(f"a message's header cannot be written ({error})") from error
    if len(text) + len(body) > MOST_BYTES:
        raise MessageError(f"a message of {len(text) + len(body)} bytes is too long")
    return LENGTHS.pack(len(text), len(body)) + text + body


def lengths(start: bytes) -> tuple[int, int]:
    """Bytes of header and body, from a message's first `LENGTHS.size` bytes. Raises MessageError."""
    header, body = LENGTHS.unpack(start)
    if header + body > MOST_BYTES:
        raise MessageError(f"a message of {header + body} bytes is too long")
    return header, body


def parse(text: bytes, body: bytes) -> PageMessage:
    """The message of these parts. Raises MessageError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise MessageError("a message's header is no JSON object")
    return PageMessage(header, body)


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def add(self, content: bytes) -> Iterator[PageMessage]:
        """The messages that are complete with these bytes. Raises MessageError."""
        self._waiting += content
        while len(self._waiting) >= LENGTHS.size:
            header, body = lengths(bytes(self._waiting[: LENGTHS.size]))
            middle, end = LENGTHS.size + header, LENGTHS.size + header + body
            if len(self._waiting) < end:
                return
            message = parse(bytes(self._waiting[LENGTHS.size : middle]), bytes(self._waiting[middle:end]))
            del self._waiting[:end]
            yield message
