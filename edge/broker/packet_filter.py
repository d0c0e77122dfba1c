"""Checks what a broker sends, packet by packet, before paho reads it. Pure.

paho accepts up to 256 MiB of one packet, keeps messages of QoS 2 until they are released, which may be never, needs
minutes for a megabyte of properties, and ends the connection at a reason code that it does not know. So it gets packets
of bounded size with the properties that we use, and acknowledgements without their reasons, which are read here.
Numbers in comments are sections of MQTT 5.
"""

from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, PUBREL, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 6, 9, 13, 14
MAX_PUBLISH_BYTES = 1 << 19  # bytes of a message; of a larger one the beginning is kept
MAX_CONTROL_BYTES = 1 << 16  # bytes of any other packet
MAX_UNRELEASED = 1000  # messages of QoS 2 that the broker may hold back
MAX_UNRELEASED_BYTES = 8 << 20  # of these
MAX_SUBSCRIPTIONS = 8
HIGHEST_QOS = 2
FAILURE = 0x80  # this reason and those above it are failures (2.4)
MQTT_3_REFUSALS = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}  # of MQTT 3.1.1's CONNACK, as codes of MQTT 5
MAX_PACKET_SIZE = 268_435_455  # bytes; the largest that MQTT allows
PACKET_SIZE_PROPERTY = 39  # the property Maximum Packet Size
CONNACK_PROPERTIES = frozenset(
    {19, 33, 36, 37, PACKET_SIZE_PROPERTY}
)  # keep-alive, window, QoS, retention, size (3.2.2.3)
PUBLISH_PROPERTIES = frozenset({8, 9})  # response topic, correlation data (3.3.2.3)
FIXED_LENGTHS = {
    1: 1,
    2: 4,
    17: 4,
    19: 2,
    23: 1,
    24: 4,
    25: 1,
    33: 2,
    34: 2,
    35: 2,
    36: 1,
    37: 1,
    39: 4,
    40: 1,
    41: 1,
    42: 1,
}
STRINGS = {
    3: 1,
    8: 1,
    9: 1,
    18: 1,
    21: 1,
    22: 1,
    26: 1,
    28: 1,
    31: 1,
    38: 2,
}  # how many per property, each after its length (2.2.2.2)
SUBSCRIPTION_IDENTIFIER = 11  # the property of that name, a variable byte integer


class ProtocolError(Exception):
    """The broker sent what is not MQTT, or out of bounds; the message says what it was."""


class ConnectRefusedError(Exception):
    """The broker refuses the connection; `code`: its reason code of MQTT 5."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class DisconnectError(Exception):
    """The broker has ended the connection; `code`: its reason code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class PacketFilter:
    """One connection's packets. `code`: the reason of the acknowledgement that `next` returned last, 0 for success."""

    def __init__(self, version: int, too_large: bytes) -> None:
        """`version`: of MQTT, 5 or 3; `too_large`: replaces any payload that is longer."""
        self.code = 0
        self._version = version
        self._too_large = too_large
        self._bytes = bytearray()
        self._skip = 0  # bytes still to come of a message whose beginning was returned
        self._connected = False
        self._subscriptions = 0  # acknowledged
        self._unreleased: dict[bytes, int] = {}  # bytes of each message of QoS 2, by its packet id

    def feed(self, data: bytes) -> None:
        """Add received bytes; to be called when `next` has returned None."""
        left = data[self._skip :]
        self._skip -= len(data) - len(left)
        self._bytes += left

    @property
    def waiting(self) -> bool:
        """Whether `next` will return a packet, or raise."""
        try:
            return self._header() is not None
        except ProtocolError:
            return True

    def next(self) -> bytes | None:
        """The next packet, as paho is to read it; None until it is complete.

        Raises ProtocolError, ConnectRefusedError, DisconnectError.
        """
        header = self._header()
        if header is None:
            return None
        start, length = header
        head, body = self._bytes[0], bytes(self._bytes[start : start + min(length, MAX_PUBLISH_BYTES)])
        self._skip = max(0, start + length - len(self._bytes))
        del self._bytes[: start + length]
        if head >> 4 == PUBLISH and self._connected:
            return self._publish(head, body, whole=len(body) == length)
        return self._control(head >> 4, body)

    def _header(self) -> tuple[int, int] | None:
        """Bytes of the fixed header and of the rest, once there are enough of them."""
        if len(self._bytes) < 2:
            return None
        found = _variable_integer(self._bytes, 1)
        if found is None:
            return None
        length, start = found
        most = MAX_PUBLISH_BYTES if self._bytes[0] >> 4 == PUBLISH else MAX_CONTROL_BYTES
        if length > most and most == MAX_CONTROL_BYTES:
            raise ProtocolError(f"a packet of {length} bytes")
        return (start, length) if len(self._bytes) >= start + min(length, most) else None

    def _control(self, kind: int, body: bytes) -> bytes:
        if not self._connected:
            return self._connack(kind, body)
        number, rest = body[:2], body[2:]
        if kind == PINGRESP:
            return b"\xd0\x00"
        if kind == DISCONNECT and self._version == 5:
            raise DisconnectError(body[0] if body else 0)
        if len(number) < 2 or kind not in (PUBACK, PUBREL, SUBACK):
            raise ProtocolError(f"a packet of type {kind}")
        if kind == SUBACK:
            return self._suback(number, rest)
        if kind == PUBREL:
            self._unreleased.pop(number, None)
            return b"\x62\x02" + number
        self.code = rest[0] if rest and self._version == 5 else 0
        return b"\x40\x02" + number

    def _connack(self, kind: int, body: bytes) -> bytes:
        """The first packet, which must accept the connection."""
        if kind != CONNACK or len(body) < 2:
            raise ProtocolError("the first packet is no CONNACK")
        if body[1]:
            raise ConnectRefusedError(MQTT_3_REFUSALS.get(body[1], body[1]))
        self._connected = True
        granted = b"" if self._version == 3 else _with_length(_kept_properties(body, 2, CONNACK_PROPERTIES)[0])
        return _packet(CONNACK << 4, body[:2] + granted)

    def _suback(self, number: bytes, rest: bytes) -> bytes:
        """The acknowledgement of our subscription, with its failures as one code."""
        beside, codes = (
            (b"", rest) if self._version == 3 else (b"\0", rest[_kept_properties(rest, 0, frozenset())[1] :])
        )
        self._subscriptions += 1
        if max(self._subscriptions, len(codes)) > MAX_SUBSCRIPTIONS:
            raise ProtocolError("an acknowledgement of a subscription that nobody asked for")
        self.code = next((code for code in codes if code > HIGHEST_QOS), 0)
        return _packet(SUBACK << 4, number + beside + bytes(FAILURE if code > HIGHEST_QOS else code for code in codes))

    def _publish(self, head: int, body: bytes, whole: bool) -> bytes:
        """A message with the properties that we use, and without its payload where that is too large."""
        qos = head >> 1 & 3
        topic_end = 2 + int.from_bytes(body[:2], "big")
        end = topic_end + (2 if qos else 0)
        if qos == 3 or len(body) < max(end, 2):
            raise ProtocolError("a malformed message")
        payload, beside = body[end:], b""
        if self._version == 5:
            kept, after = _kept_properties(body, end, PUBLISH_PROPERTIES) if whole else (b"", end)
            payload, beside = body[after:], _with_length(kept)
        if not whole or len(payload) > len(self._too_large):
            payload = self._too_large
        if qos == HIGHEST_QOS:
            self._hold_unreleased(body[topic_end:end], end + len(beside) + len(payload))
        return _packet(head, body[:end] + beside + payload)

    def _hold_unreleased(self, number: bytes, size: int) -> None:
        """paho keeps a message of QoS 2 until the broker releases it."""
        self._unreleased[number] = size
        if len(self._unreleased) > MAX_UNRELEASED or sum(self._unreleased.values()) > MAX_UNRELEASED_BYTES:
            raise ProtocolError("messages of QoS 2 that it does not release")


def _kept_properties(body: bytes, at: int, wanted: frozenset[int]) -> tuple[bytes, int]:
    """The `wanted` ones of the properties that begin at `at`, as they are, and where all of them end (2.2.2)."""
    length, start = _variable_integer(body, at) or (len(body), at)
    end, at = start + length, start
    if end > len(body):
        raise ProtocolError("properties longer than the packet")
    kept: dict[int, bytes] = {}
    for identifier, after in _properties(body, start, end):
        if identifier in kept:
            raise ProtocolError(f"property {identifier} twice")
        if identifier in wanted:
            kept[identifier] = body[at:after]
        at = after
    if int.from_bytes(kept.get(PACKET_SIZE_PROPERTY, b"")[1:], "big") > MAX_PACKET_SIZE:
        del kept[PACKET_SIZE_PROPERTY]  # no limit at all; paho rejects it
    return b"".join(kept.values()), end


def _properties(body: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Each property's identifier, and where it ends."""
    while at < end:
        identifier = body[at]
        at += 1 + FIXED_LENGTHS.get(identifier, 0)
        for _ in range(STRINGS.get(identifier, 0)):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
        if identifier == SUBSCRIPTION_IDENTIFIER:
            at = (_variable_integer(body, at) or (0, end + 1))[1]
        elif identifier not in FIXED_LENGTHS and identifier not in STRINGS:
            raise ProtocolError(f"property {identifier}")
        if at > end:
            raise ProtocolError("a property longer than the properties")
        yield identifier, at


def _variable_integer(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """The variable byte integer that begins there, and where it ends (1.5.5); None where it is cut off."""
    value = 0
    for count in range(4):
        if len(data) <= at + count:
            return None
        value |= (data[at + count] & 127) << 7 * count
        if data[at + count] < 128:
            return value, at + count + 1
    raise ProtocolError("an endless length")


def _with_length(content: bytes) -> bytes:
    """The bytes after their length."""
    length, number = len(content), bytearray()
    while length > 127:
        number.append(length & 127 | 128)
        length >>= 7
    return bytes([*number, length]) + content


def _packet(head: int, content: bytes) -> bytes:
    return bytes([head]) + _with_length(content)
