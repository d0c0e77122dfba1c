"""paho's client, which reads only what `edge.broker.packet_filter` passes on. Shell.

It overrides one method that paho does not document, `_create_socket`, and reads one such attribute, `_out_packet`;
both are there from 2.1 on.
"""

from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.broker.packet_filter import PacketFilter, ProtocolError

READ_BYTES = 65_536  # bytes read at once
READS = 16  # in a row, after which paho may write and check its timers
MAX_UNSENT = 10_000  # packets that wait for the broker to read them


class FilteredSocket:
    """A socket from which paho reads filtered packets only."""

    def __init__(self, socket: Any, packets: PacketFilter) -> None:
        """`socket`: one of Python's, with TLS or without."""
        self._socket, self._packets = socket, packets
        self._ready = b""
        self.send, self.close, self.fileno = socket.send, socket.close, socket.fileno
        self.setblocking = socket.setblocking

    def recv(self, size: int) -> bytes:
        """At most so many bytes of the current packet; b"" at the end of the connection.

        Raises what the socket and `PacketFilter.next` raise, and BlockingIOError where no packet is complete.
        """
        if not self._ready and not self._fill():
            return b""
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def pending(self) -> int:
        """More than 0 where there is something to read although the operating system has nothing."""
        inner = getattr(self._socket, "pending", None)
        return len(self._ready) + self._packets.waiting + (0 if inner is None else inner())

    def _fill(self) -> bool:
        """Read until there is a packet; False at the end of the connection."""
        for _ in range(READS):
            packet = self._packets.next()
            if packet is not None:
                self._ready = packet
                return True
            data = self._socket.recv(READ_BYTES)
            if not data:
                return False
            self._packets.feed(data)
        raise BlockingIOError


class FilteredClient(Client):
    """A client that holds no state beyond its one connection."""

    def __init__(self, version: int, client_id: str, connect_seconds: float, packets: PacketFilter) -> None:
        """Make a client of which only paho's own thread writes to the socket.

        paho leaves writing to its loop's thread where there is a callback for it. Otherwise the publishing thread
        writes too, and two threads at once break a TLS connection.
        """
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, reconnect_on_failure=False
        )
        self.connect_timeout = connect_seconds
        self.on_socket_register_write = lambda *_: None
        self._packets = packets

    def check_unsent(self) -> None:
        """Raise NonsenseError where the broker talks and does not read what it is answered."""
        if len(self._out_packet) > MAX_UNSENT:
            raise ProtocolError(f"it does not read {MAX_UNSENT} answers")

    def _create_socket(self) -> Any:
        return FilteredSocket(super()._create_socket(), self._packets)
