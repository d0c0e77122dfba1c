"""What a broker sends is handed to paho whole, bounded and plain, or ends the connection."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.packet_filter import (
    MAX_PUBLISH_BYTES,
    ConnectRefusedError,
    DisconnectError,
    PacketFilter,
    ProtocolError,
)
from tests.support.hostile_broker import number, publish, text

LET_IN = {5: b"\x20\x03\x00\x00\x00", 3: b"\x20\x02\x00\x00"}
TOO_LARGE = b"too large" * 20


def fed(*sent: bytes, version: int = 5) -> PacketFilter:
    """One that has been let in, and then told this."""
    found = PacketFilter(version, TOO_LARGE)
    found.feed(LET_IN[version])
    assert found.next() == LET_IN[version]
    for part in sent:
        found.feed(part)
    return found


def packets(found: PacketFilter) -> list[bytes]:
    return list(iter(found.next, None))


def framed(head: int, body: bytes) -> bytes:
    return bytes([head]) + number(len(body)) + body


@pytest.mark.parametrize(
    ("packet", "plain", "code"),
    [
        (b"\x40\x02\x00\x07", b"\x40\x02\x00\x07", 0),
        (b"\x40\x03\x00\x07\x10", b"\x40\x02\x00\x07", 0x10),
        (b"\x40\x04\x00\x07\x95\x00", b"\x40\x02\x00\x07", 0x95),
        (b"\x40\x06\x00\x07\xfe\x02\x7f\x00", b"\x40\x02\x00\x07", 0xFE),  # with a property that nobody knows
        (b"\x90\x04\x00\x01\x00\x01", b"\x90\x04\x00\x01\x00\x01", 0),
        (b"\x90\x04\x00\x01\x00\xc7", b"\x90\x04\x00\x01\x00\x80", 0xC7),
        (b"\x90\x08\x00\x01\x04\x1f\x00\x01x\x87", b"\x90\x04\x00\x01\x00\x80", 0x87),
        (b"\x62\x04\x00\x07\x92\x00", b"\x62\x02\x00\x07", 0),
        (b"\xd0\x00", b"\xd0\x00", 0),
    ],
)
def test_an_acknowledgement_is_handed_over_without_its_reason(packet: bytes, plain: bytes, code: int) -> None:
    found = fed(packet)
    assert packets(found) == [plain]
    assert found.code == code


def test_mqtt_3_1_1_has_no_reasons() -> None:
    found = fed(b"\x40\x02\x00\x07", b"\x90\x03\x00\x01\x80", version=3)
    assert packets(found) == [b"\x40\x02\x00\x07", b"\x90\x03\x00\x01\x80"]
    assert found.code == 0x80


def test_a_message_keeps_what_we_use_of_its_properties() -> None:
    wanted = b"\x08" + text(b"answers/here") + b"\x09" + text(b"mark")
    others = b"\x01\x01" + b"\x02\x00\x00\x00\x09" + b"\x0b\x81\x01" + b"\x26" + text(b"a") + text(b"b")
    found = fed(publish(b"request/health", b"{}", others + wanted))
    assert packets(found) == [publish(b"request/health", b"{}", wanted)]


def test_a_maximum_packet_size_that_is_no_limit_is_left_out() -> None:
    """paho ends the connection at one beyond the largest that MQTT knows; it is allowed."""
    for size, kept in ((0xFFFF_FFFF, b""), (1200, b"\x27" + (1200).to_bytes(4, "big"))):
        found = PacketFilter(5, TOO_LARGE)
        beside = b"\x27" + size.to_bytes(4, "big") + b"\x1f" + text(b"welcome")
        found.feed(framed(0x20, b"\x00\x00" + number(len(beside)) + beside))
        assert found.next() == framed(0x20, b"\x00\x00" + number(len(kept)) + kept)


@pytest.mark.parametrize("version", [5, 3])
@pytest.mark.parametrize(("sent", "code"), [(1, 0x84), (4, 0x86), (5, 0x87), (0x86, 0x86), (0xC3, 0xC3)])
def test_a_refused_connection_has_its_reason(version: int, sent: int, code: int) -> None:
    found = PacketFilter(version, TOO_LARGE)
    found.feed(b"\x20\x02\x00" + bytes([sent]))
    with pytest.raises(ConnectRefusedError) as refusal:
        found.next()
    assert refusal.value.code == code


@pytest.mark.parametrize(("packet", "code"), [(b"\xe0\x00", 0), (b"\xe0\x01\x8e", 0x8E), (b"\xe0\x02\xf0\x00", 0xF0)])
def test_packets_before_the_end_are_read(packet: bytes, code: int) -> None:
    found = fed(b"\x40\x02\x00\x07" + packet)
    assert found.next() == b"\x40\x02\x00\x07"
    with pytest.raises(DisconnectError) as end:
        found.next()
    assert end.value.code == code


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [MAX_PUBLISH_BYTES, 3 * MAX_PUBLISH_BYTES, 100 * MAX_PUBLISH_BYTES])
def test_of_a_giant_message_the_beginning_is_kept_and_what_follows_is_read(qos: int, size: int) -> None:
    start = text(b"request/health") + (b"\x00\x05" if qos else b"")
    found = fed(bytes([0x30 | qos << 1]) + number(len(start) + 1 + size) + start + b"\x00")
    passed, chunk = [], bytes(50_000)
    for left in range(size, 0, -len(chunk)):
        found.feed(chunk[:left])
        passed += packets(found)
        assert len(found._bytes) <= MAX_PUBLISH_BYTES + 2 * len(chunk)
    found.feed(b"\xd0\x00")
    assert passed + packets(found) == [framed(0x30 | qos << 1, start + b"\x00" + TOO_LARGE), b"\xd0\x00"]


NONSENSE = {
    "before we are let in": (b"", b"\xd0\x00"),
    "let in twice": (LET_IN[5], LET_IN[5]),
    "a giant CONNACK": (b"", b"\x20\xff\xff\xff\x7f"),
    "a giant acknowledgement": (LET_IN[5], b"\x40\xff\xff\xff\x7f"),
    "a length without end": (LET_IN[5], b"\x30\xff\xff\xff\xff"),
    "a question of ours": (LET_IN[5], b"\xc0\x00"),
    "QoS 3": (LET_IN[5], framed(0x36, text(b"a") + b"\x00\x01\x00")),
    "a topic beyond the packet": (LET_IN[5], framed(0x30, b"\x00\xffa")),
    "an unknown property": (LET_IN[5], publish(b"a", b"", b"\x7f\x00")),
    "a property twice": (LET_IN[5], publish(b"a", b"", (b"\x08" + text(b"b")) * 2)),
    "properties beyond the packet": (LET_IN[5], framed(0x30, text(b"a") + b"\x7f")),
    "a text beyond its properties": (LET_IN[5], publish(b"a", b"", b"\x08\xff\xff")),
    "subscriptions without end": (LET_IN[5], b"\x90\x04\x00\x01\x00\x01" * 9),
    "QoS 2 without release": (
        LET_IN[5],
        b"".join(framed(0x34, text(b"a") + n.to_bytes(2, "big") + b"\0") for n in range(1001)),
    ),
    "megabytes of it": (
        LET_IN[5],
        b"".join(framed(0x34, text(b"a" * 60_000) + bytes([0, n, 0])) for n in range(140)),
    ),
}


@pytest.mark.parametrize(("before", "packet"), NONSENSE.values(), ids=NONSENSE.keys())
def test_what_is_out_of_bounds_ends_the_connection(before: bytes, packet: bytes) -> None:
    found = PacketFilter(5, TOO_LARGE)
    found.feed(before + packet)
    with pytest.raises(ProtocolError):
        packets(found)


def test_released_messages_are_no_problem() -> None:
    """Some brokers send with the QoS of who published, whatever was subscribed to."""
    found = fed(*(framed(0x34, text(b"a") + bytes([0, n, 0])) + b"\x62\x02\x00" + bytes([n]) for n in range(200)))
    assert len(packets(found)) == 400


def test_properties_by_the_thousand_are_left_out() -> None:
    """paho needs half a minute for these."""
    found = fed(publish(b"a", b"{}", b"\x26\x00\x00\x00\x00" * 50_000))
    assert packets(found) == [publish(b"a", b"{}")]


def outcome(parts: Iterable[bytes], version: int) -> list[object]:
    """Everything that is handed over, and how it ended."""
    found, passed = PacketFilter(version, TOO_LARGE), list[object]()
    try:
        for part in parts:
            found.feed(part)
            while found.waiting:
                passed.append(found.next())
            assert found.next() is None
    except (ProtocolError, ConnectRefusedError, DisconnectError) as end:
        passed.append((type(end), str(end)))
    return passed


SOME = st.sampled_from(
    [
        *LET_IN.values(),
        b"\x90\x04\x00\x01\x00\x01",
        *(message for _, message in NONSENSE.values() if len(message) < 100),
    ]
)


@given(st.lists(SOME | st.binary(max_size=30)), st.sampled_from([3, 5]), st.data())
def test_any_bytes_in_any_pieces_come_to_the_same_end(sent: list[bytes], version: int, data: st.DataObject) -> None:
    whole = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    assert outcome(pieces, version) == outcome([whole], version)


def test_limits_leave_room_for_what_is_asked() -> None:
    """A topic and two properties of 64 KiB, and a payload of more than is read."""
    assert MAX_PUBLISH_BYTES > 3 * 65_537 + 65_536
