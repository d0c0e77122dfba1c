"""What the process that copies a camera's stream tells the daemon: the stream's form, its packets, its fault. Pure."""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

HEAD = struct.Struct("!cIdd")  # kind, bytes that follow, seconds of the stream's clock, seconds of this machine's
FORM, PACKET, FAULT = b"s", b"p", b"f"
MOST_BYTES = 16 * 1024 * 1024  # of one message; a key frame in 4K has about one
LONGEST_FAULT = 500  # characters
MOST_SIDE = 16_384  # pixels


@dataclass(frozen=True)
class StreamForm:
    """`codec`: as FFmpeg names it; `size`: (width, height) in pixels; `parameters`: its parameter sets, Annex B."""

    codec: str
    size: tuple[int, int]
    parameters: bytes


@dataclass(frozen=True)
class StreamPacket:
    """One picture as the camera has encoded it. `seconds`: by the stream's clock; `arrived`: monotonic, s."""

    content: bytes
    seconds: float
    arrived: float


StreamMessage = StreamForm | StreamPacket | str  # str: the sentence of a fault, with which the stream ends


def pack(message: StreamMessage) -> bytes:
    """The message as bytes. Raises ValueError where it is too long."""
    if isinstance(message, StreamPacket):
        return _framed(PACKET, message.content, message.seconds, message.arrived)
    if isinstance(message, StreamForm):
        return _framed(FORM, json.dumps({**asdict(message), "parameters": message.parameters.hex()}).encode())
    return _framed(FAULT, message[:LONGEST_FAULT].encode(errors="replace"))


class StreamUnpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def add(self, content: bytes) -> Iterator[StreamMessage]:
        """The messages that are complete with these bytes. Raises ValueError where they are none."""
        self._waiting += content
        while len(self._waiting) >= HEAD.size:
            kind, length, seconds, arrived = HEAD.unpack_from(self._waiting)
            if length > MOST_BYTES:
                raise ValueError(f"a message of {length} bytes is too long")
            end = HEAD.size + length
            if len(self._waiting) < end:
                return
            body = bytes(self._waiting[HEAD.size : end])
            del self._waiting[:end]
            yield _message(kind, body, seconds, arrived)


def _framed(kind: bytes, body: bytes, seconds: float = 0.0, arrived: float = 0.0) -> bytes:
    if len(body) > MOST_BYTES:
        raise ValueError(f"a picture of {len(body)} bytes is too large")
    return HEAD.pack(kind, len(body), seconds, arrived) + body


def _message(kind: bytes, body: bytes, seconds: float, arrived: float) -> StreamMessage:
    if kind == PACKET:
        return StreamPacket(body, seconds, arrived)
    if kind == FORM:
        return _form(json.loads(body))
    if kind == FAULT:
        text = body.decode(errors="replace")[:LONGEST_FAULT]
        return "".join(letter if letter.isprintable() else "?" for letter in text)  # forges no line of the log
    raise ValueError("a message of an unknown kind")


def _form(given: Any) -> StreamForm:
    if not isinstance(given, dict):
        raise ValueError("a stream's form is an object")
    codec, size, parameters = given.get("codec"), given.get("size"), given.get("parameters")
    if not isinstance(codec, str) or not codec.isalnum() or not isinstance(parameters, str):
        raise ValueError("a stream's form has a codec and parameters")
    return StreamForm(codec[:32], _size(size), bytes.fromhex(parameters))


def _size(given: object) -> tuple[int, int]:
    """(0, 0) is of a stream that does not say its size."""
    if not isinstance(given, Sequence) or len(given) != 2 or not all(type(side) is int for side in given):
        raise ValueError("a size is two whole numbers")
    width, height = given
    if not (0 <= width <= MOST_SIDE and 0 <= height <= MOST_SIDE):
        raise ValueError(f"a picture of {width}x{height} is no picture")
    return width, height
