"""paho's client, which hears only what `edge.broker.packet_filter` has looked at. Shell.

It overrides one method that paho does not document, `_create_socket`, and looks at one such attribute, `_out_packet`;
both are there from 2.1 on.
"""

from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.broker.packet_filter import PacketFilter, ProtocolError

CHUNK = 65_536  # bytes read at once
CHUNKS = 16  # at a time, after which paho may write and look at the clock
MOST_UNREAD = 10_000  # packets that wait for a broker to read them


class FilteredSocket:
    """A connection from which nothing comes but packets that paho is to read."""

    def __init__(self, socket: Any, incoming: PacketFilter) -> None:
        """`socket`: one of Python's, with TLS or without."""
        self._socket, self._incoming = socket, incoming
        self._ready = b""
        self.send, self.close, self.fileno = socket.send, socket.close, socket.fileno
        self.setblocking = socket.setblocking

    def recv(self, size: int) -> bytes:
        """At most so many bytes of the packet that is being handed over; b"" at the end of the connection.

        Raises what the socket raises, BlockingIOError too where no packet is complete, and what `Incoming.next` does.
        """
        if not self._ready and not self._fill():
            return b""
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def pending(self) -> int:
        """More than 0 where there is something to read although the operating system has nothing."""
        inner = getattr(self._socket, "pending", None)
        return len(self._ready) + self._incoming.waiting + (0 if inner is None else inner())

    def _fill(self) -> bool:
        """Read until there is a packet; False at the end of the connection."""
        for _ in range(CHUNKS):
            packet = self._incoming.next()
            if packet is not None:
                self._ready = packet
                return True
            data = self._socket.recv(CHUNK)
            if not data:
                return False
            self._incoming.feed(data)
        raise BlockingIOError


class FilteredClient(Client):
    """A client that holds no state beyond its one connection."""

    def __init__(self, version: int, client_id: str, connect_seconds: float, incoming: PacketFilter) -> None:
        """With a callback for it, paho leaves writing to the thread of the loop; otherwise whoever publishes writes,
        and two threads at once in one TLS connection break it.
        """
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, reconnect_on_failure=False
        )
        self.connect_timeout = connect_seconds
        self.on_socket_register_write = lambda *_: None
        self._incoming = incoming

    def check_unread(self) -> None:
        """Raise NonsenseError where the broker talks and does not read what it is answered."""
        if len(self._out_packet) > MOST_UNREAD:
            raise ProtocolError(f"it talks, and does not read {MOST_UNREAD} answers")

    def _create_socket(self) -> Any:
        return FilteredSocket(super()._create_socket(), self._incoming)
