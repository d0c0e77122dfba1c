"""How large a message is on the wire: what is reckoned is what paho writes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.broker.parcel import Parcel, packet_size, properties

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=40)
PARCELS = st.builds(
    Parcel,
    topic=TEXT,
    payload=st.binary(max_size=300) | st.sampled_from([b"\xff\xd8 a picture", b'{"a": 1}']),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    expiry=st.none() | st.floats(0.1, 1e12),
    correlation=st.none() | st.binary(max_size=200),
    labels=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
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


def written(parcel: Parcel, version: int) -> bytes:
    wire = Wire(version)
    wire.publish(parcel.topic, parcel.payload, parcel.qos, parcel.retain, properties(parcel) if version == 5 else None)
    return wire.written


@given(PARCELS, st.sampled_from([3, 5]))
def test_the_size_is_that_of_the_bytes_on_the_wire(parcel: Parcel, version: int) -> None:
    assert packet_size(parcel, version) == len(written(parcel, version))


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("length", [0, 100, 127, 128, 129, 16_000, 16_383, 16_384, 2_097_151, 2_097_152])
def test_the_length_grows_with_itself(length: int, version: int) -> None:
    """A byte more from 128, 16,384 and 2,097,152 bytes of rest on; payloads around them."""
    for below in range(40):
        parcel = Parcel("a/b", bytes(max(0, length - below)), qos=1)
        assert packet_size(parcel, version) == len(written(parcel, version))


def test_the_smallest() -> None:
    assert packet_size(Parcel("a", b""), 3) == 1 + 1 + 2 + 1
    assert packet_size(Parcel("a", b"", qos=1), 3) == 1 + 1 + 2 + 1 + 2
    assert packet_size(Parcel("a", b""), 5) == 1 + 1 + 2 + 1 + 1 + 2  # properties: their length, an indicator of text
