"""What is between paho and the network, over a real socket."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from edge.broker.client import FilteredClient
from edge.broker.packet_filter import PacketFilter, ProtocolError
from tests.support.hostile_broker import CONNACK, number, publish, text


class Wired(FilteredClient):
    """One whose connection is there already."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(5, "client", 5.0, PacketFilter(5, b"x"))
        self._connection = connection

    def _create_socket_connection(self) -> Any:
        return self._connection


def converse(client: FilteredClient) -> None:
    while client.loop() == 0:
        client.check_unsent()


@pytest.fixture
def ends() -> Iterator[tuple[Wired, socket.socket]]:
    """A client that can write little before somebody reads, and the broker's end of its connection."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client = Wired(ours)
    client.connect("broker")
    with ours, theirs:
        yield client, theirs


def test_a_broker_that_sends_but_does_not_read_is_given_up(
    ends: tuple[Wired, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message must be acknowledged, and the acknowledgements would fill our memory."""
    monkeypatch.setattr("edge.broker.client.MAX_UNSENT", 500)
    client, theirs = ends
    one = text(b"a") + b"\0\x07\0"

    def flood() -> None:
        with contextlib.suppress(OSError):
            theirs.sendall(CONNACK)
            while True:
                theirs.sendall(b"\x32" + number(len(one)) + one)

    talking = threading.Thread(target=flood)
    talking.start()
    with pytest.raises(ProtocolError, match="does not read 500 answers"):
        converse(client)
    theirs.shutdown(socket.SHUT_RDWR)
    talking.join()


def test_packets_that_arrive_together_are_read_together(ends: tuple[Wired, socket.socket]) -> None:
    """paho asks the operating system whether there is more to read, which has none when we have it already."""
    client, theirs = ends
    received: list[bytes] = []
    client.on_message = lambda _, __, message: received.append(bytes(message.payload))
    theirs.sendall(CONNACK + b"".join(publish(b"a", b"%d" % count) for count in range(10)))
    for _ in range(11):
        assert client.loop(timeout=60.0) == 0  # or the test takes minutes
    assert received == [b"%d" % count for count in range(10)]
