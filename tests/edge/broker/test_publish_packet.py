"""Messages on the wire: the computed size is that of what paho writes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

from edge.broker.message import CLOCK_IS_SET, Message
from edge.broker.publish_packet import packet_size, properties

NOW = 1_800_000_000.0
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=40)
MESSAGES = st.builds(
    Message,
    topic=TEXT,
    payload=st.binary(max_size=300) | st.sampled_from([b"\xff\xd8 a picture", b'{"a": 1}']),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    event_id=st.just("") | TEXT,
    type=st.sampled_from(["", "new", "end"]),
    expires=st.just(0.0) | st.floats(CLOCK_IS_SET, 1e12),
    correlation=st.none() | st.binary(max_size=200),
)


class Wire(Client):
    """paho with the wire cut off: what it would send is kept."""

    def __init__(self, version: int) -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        super().__init__(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._sock: Any = object()
        self.written = b""

    def _packet_queue(self, command: int, packet: bytes | bytearray, *rest: Any) -> Any:
        self.written = bytes(packet)

    def _reset_sockets(self, sockpair_only: bool = False) -> None:
        self._sock = None


def beside(message: Message, version: int) -> Properties | None:
    return properties(message, NOW) if version == 5 else None


def written(message: Message, version: int) -> bytes:
    wire = Wire(version)
    wire.publish(message.topic, message.payload, message.qos, message.retain, beside(message, version))
    return wire.written


@given(MESSAGES, st.sampled_from([3, 5]))
def test_the_size_is_that_of_the_bytes_on_the_wire(message: Message, version: int) -> None:
    assert packet_size(message, beside(message, version)) == len(written(message, version))


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("length", [0, 100, 127, 128, 129, 16_000, 16_383, 16_384, 2_097_151, 2_097_152])
def test_the_length_grows_with_itself(length: int, version: int) -> None:
    """A byte more from 128, 16,384 and 2,097,152 bytes of rest on; payloads around them."""
    for below in range(40):
        message = Message("a/b", bytes(max(0, length - below)), qos=1)
        assert packet_size(message, beside(message, version)) == len(written(message, version))


def test_the_smallest() -> None:
    assert packet_size(Message("a", b""), None) == 1 + 1 + 2 + 1
    assert packet_size(Message("a", b"", qos=1), None) == 1 + 1 + 2 + 1 + 2
    assert (
        packet_size(Message("a", b""), properties(Message("a", b""), NOW)) == 1 + 1 + 2 + 1 + 1 + 2
    )  # properties: their length, an indicator of text


@pytest.mark.parametrize(
    ("kind", "expires", "expected"),
    [
        ("update", NOW + 59.5, 60),
        ("update", NOW - 5.0, 1),  # the broker drops it
        ("end", NOW + 59.5, 60),
        ("end", NOW - 5.0, None),  # of an event whose beginning may have been received
        ("update", 1000.0, None),  # stamped before the clock was set
        ("", 0.0, None),
    ],
)
def test_the_expiry_is_what_is_left_at_sending(kind: str, expires: float, expected: int | None) -> None:
    found = properties(Message("t", b"{}", "a", 1, kind, expires), NOW)
    assert getattr(found, "MessageExpiryInterval", None) == expected
