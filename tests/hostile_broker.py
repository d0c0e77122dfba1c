"""A broker that means harm: MQTT spoken by hand over plain sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

CONNACK = b"\x20\x03\x00\x00\x00"  # of MQTT 5: let in, no properties
Conversation = Callable[[socket.socket], None]


def number(value: int) -> bytes:
    """A length as MQTT writes it: seven bits a byte, the lowest first."""
    found = bytearray()
    while True:
        value, digit = divmod(value, 128)
        found.append(digit | (128 if value else 0))
        if not value:
            return bytes(found)


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def publish(topic: bytes, payload: bytes, properties: bytes = b"", retain: bool = False) -> bytes:
    """A PUBLISH of MQTT 5 with QoS 0; `properties` as they stand on the wire, whatever that is."""
    body = text(topic) + number(len(properties)) + properties + payload
    return bytes([0x30 | retain]) + number(len(body)) + body


def acknowledged(packet: bytes, code: int = 0) -> bytes:
    """The SUBACK to a SUBSCRIBE that begins here."""
    return b"\x90\x04" + packet[2:4] + b"\x00" + bytes([code])


class HostileBroker:
    """Lets everybody in, acknowledges the subscription, then has `converse` say what it likes.

    `connections`: how many have come so far.
    """

    def __init__(self, converse: Conversation) -> None:
        self.connections = 0
        self._converse = converse
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.recv(4096)
            client.sendall(CONNACK)
            client.sendall(acknowledged(client.recv(4096)))
            self._converse(client)

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def hostile(converse: Conversation) -> Iterator[HostileBroker]:
    broker = HostileBroker(converse)
    try:
        yield broker
    finally:
        broker.close()
