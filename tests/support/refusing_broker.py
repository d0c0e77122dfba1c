"""A broker of MQTT 5 that refuses what it is told to, and takes the rest in the order in which it came."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import IO

from tests.support.hostile_broker import CONNACK, acknowledged

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14
NOT_AUTHORIZED = 0x87


class RefusingBroker:
    """`refuses`: asked of each event's step by its number; `taken`: the numbers of those that were taken.

    `code`: the reason it gives; `beside`: properties that it adds, as they stand on the wire.
    """

    def __init__(self, refuses: Callable[[int], bool], code: int = NOT_AUTHORIZED, beside: bytes = b"") -> None:
        self.taken: list[int] = []
        self.refused = 0
        self._refuses, self._code, self._beside = refuses, code, beside
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                with client, client.makefile("rb") as stream, contextlib.suppress(ConnectionError):
                    for head, body in packets(stream):
                        client.sendall(self._answer(head, body))

    def _answer(self, head: int, body: bytes) -> bytes:
        kind = head >> 4
        if kind == CONNECT:
            return CONNACK
        if kind == SUBSCRIBE:
            return acknowledged(b"\x82\x00" + body)
        if kind == PINGREQ:
            return b"\xd0\x00"
        if kind == PUBLISH and head & 0x06:
            return self._acknowledge(body)
        return b""

    def _acknowledge(self, body: bytes) -> bytes:
        length = int.from_bytes(body[:2], "big")
        topic, number, rest = body[2 : 2 + length], body[2 + length : 4 + length], body[4 + length :]
        code = 0
        if b"/actions/" in topic:
            seq = json.loads(rest[rest.index(b"{") :])["seq"]
            if self._refuses(seq):
                code = self._code
                self.refused += 1
            else:
                self.taken.append(seq)
        return bytes([0x40, 4 + len(self._beside)]) + number + bytes([code, len(self._beside)]) + self._beside

    def __enter__(self) -> "RefusingBroker":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def packets(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """First byte and body of each packet until the connection ends."""
    while head := stream.read(1):
        length = shift = 0
        while True:
            digit = stream.read(1)[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                break
        yield head[0], stream.read(length)
