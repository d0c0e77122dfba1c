"""A broker that means harm: MQTT spoken by hand over plain sockets."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

CONNACK = b"\x20\x03\x00\x00\x00"  # of MQTT 5: let in, no properties
OLD_CONNACK = b"\x20\x02\x00\x00"  # of MQTT 3.1.1
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

    Where it is not `polite`, it says that at once. `connections`: how many have come so far.
    """

    def __init__(self, converse: Conversation, polite: bool = True) -> None:
        self.connections = 0
        self._converse, self._polite = converse, polite
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
            if self._polite:
                old = client.recv(4096)[8:9] == b"\x04"  # fixed header 2, length and name of the protocol 6, its level
                client.sendall(OLD_CONNACK if old else CONNACK)
                asked = client.recv(4096)
                client.sendall(b"\x90\x03" + asked[2:4] + b"\0" if old else acknowledged(asked))
            self._converse(client)

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def hostile(converse: Conversation, polite: bool = True) -> Iterator[HostileBroker]:
    broker = HostileBroker(converse, polite)
    try:
        yield broker
    finally:
        broker.close()
