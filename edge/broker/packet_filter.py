"""What a broker sends, packet by packet, looked at before paho reads it. Pure.

paho takes in up to 256 MiB of one packet, keeps messages of QoS 2 until they are released, which may be never, needs
minutes for a megabyte of properties, and ends the connection at a reason that it cannot name. So it gets packets of
bounded size with the properties that we use, and acknowledgements without their reasons, which are read here. Numbers
in comments are sections of MQTT 5.
"""

from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, PUBREL, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 6, 9, 13, 14
MOST = 1 << 19  # bytes of a message; of a larger one the beginning is kept
MOST_CONTROL = 1 << 16  # bytes of any other packet
MOST_UNRELEASED = 1000  # messages of QoS 2 that the broker may hold back
MOST_UNRELEASED_BYTES = 8 << 20  # of these
MOST_SUBSCRIPTIONS = 8
HIGHEST_QOS = 2
FAILURE = 0x80  # this reason and those above it are failures (2.4)
OLD_REFUSALS = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}  # of MQTT 3.1.1's CONNACK, as MQTT 5 counts them
PACKET_MAXIMUM = 268_435_455  # bytes; the largest packet that MQTT knows
SIZE_LIMIT = 39  # the property that tells the largest packet which the broker takes
GRANTED = frozenset({19, 33, 36, 37, SIZE_LIMIT})  # keep-alive, window, QoS, retention, size (3.2.2.3)
ASKED = frozenset({8, 9})  # response topic, correlation data (3.3.2.3)
FIXED = {1: 1, 2: 4, 17: 4, 19: 2, 23: 1, 24: 4, 25: 1, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 39: 4, 40: 1, 41: 1, 42: 1}
TEXTS = {3: 1, 8: 1, 9: 1, 18: 1, 21: 1, 22: 1, 26: 1, 28: 1, 31: 1, 38: 2}  # how many, each after its length (2.2.2.2)
NUMBERED = 11  # a subscription's identifier, a number of variable length


class ProtocolError(Exception):
    """What the broker sent is no MQTT, or out of bounds; the message says what it was."""


class ConnectRefusedError(Exception):
    """The broker does not let us in; `code`: its reason, as MQTT 5 counts them."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class DisconnectError(Exception):
    """The broker has ended the connection; `code`: its reason."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class PacketFilter:
    """One connection's packets. `code`: the reason of the acknowledgement that was handed over last, 0 for success."""

    def __init__(self, version: int, too_large: bytes) -> None:
        """`version`: of MQTT, 5 or 3; `too_large`: what takes the place of any payload that is longer."""
        self.code = 0
        self._version = version
        self._too_large = too_large
        self._bytes = bytearray()
        self._skip = 0  # bytes still to come of a message whose beginning was handed over
        self._inside = False
        self._subscriptions = 0  # acknowledged
        self._unreleased: dict[bytes, int] = {}  # bytes of each message of QoS 2, by its number

    def feed(self, data: bytes) -> None:
        """Take what has come; to be called where `next` finds no packet."""
        left = data[self._skip :]
        self._skip -= len(data) - len(left)
        self._bytes += left

    @property
    def waiting(self) -> bool:
        """Whether `next` will find a packet, or a fault."""
        try:
            return self._header() is not None
        except ProtocolError:
            return True

    def next(self) -> bytes | None:
        """The next packet, as paho is to read it. Raises NonsenseError, RefusedError, EndedError."""
        header = self._header()
        if header is None:
            return None
        start, length = header
        head, body = self._bytes[0], bytes(self._bytes[start : start + min(length, MOST)])
        self._skip = max(0, start + length - len(self._bytes))
        del self._bytes[: start + length]
        if head >> 4 == PUBLISH and self._inside:
            return self._message(head, body, whole=len(body) == length)
        return self._control(head >> 4, body)

    def _header(self) -> tuple[int, int] | None:
        """Bytes of the fixed header and of the rest, once there is enough of the packet."""
        if len(self._bytes) < 2:
            return None
        found = _number(self._bytes, 1)
        if found is None:
            return None
        length, start = found
        most = MOST if self._bytes[0] >> 4 == PUBLISH else MOST_CONTROL
        if length > most and most == MOST_CONTROL:
            raise ProtocolError(f"a packet of {length} bytes")
        return (start, length) if len(self._bytes) >= start + min(length, most) else None

    def _control(self, kind: int, body: bytes) -> bytes:
        if not self._inside:
            return self._entrance(kind, body)
        number, rest = body[:2], body[2:]
        if kind == PINGRESP:
            return b"\xd0\x00"
        if kind == DISCONNECT and self._version == 5:
            raise DisconnectError(body[0] if body else 0)
        if len(number) < 2 or kind not in (PUBACK, PUBREL, SUBACK):
            raise ProtocolError(f"a packet of type {kind}")
        if kind == SUBACK:
            return self._subscription(number, rest)
        if kind == PUBREL:
            self._unreleased.pop(number, None)
            return b"\x62\x02" + number
        self.code = rest[0] if rest and self._version == 5 else 0
        return b"\x40\x02" + number

    def _entrance(self, kind: int, body: bytes) -> bytes:
        """The first packet: it must let us in."""
        if kind != CONNACK or len(body) < 2:
            raise ProtocolError("it does not begin with CONNACK")
        if body[1]:
            raise ConnectRefusedError(OLD_REFUSALS.get(body[1], body[1]))
        self._inside = True
        granted = b"" if self._version == 3 else _framed(_kept(body, 2, GRANTED)[0])
        return _packet(CONNACK << 4, body[:2] + granted)

    def _subscription(self, number: bytes, rest: bytes) -> bytes:
        """Whether requests are heard."""
        beside, codes = (b"", rest) if self._version == 3 else (b"\0", rest[_kept(rest, 0, frozenset())[1] :])
        self._subscriptions += 1
        if max(self._subscriptions, len(codes)) > MOST_SUBSCRIPTIONS:
            raise ProtocolError("it acknowledges what nobody has subscribed to")
        self.code = next((code for code in codes if code > HIGHEST_QOS), 0)
        return _packet(SUBACK << 4, number + beside + bytes(FAILURE if code > HIGHEST_QOS else code for code in codes))

    def _message(self, head: int, body: bytes, whole: bool) -> bytes:
        """A message with what we use of its properties; without its payload where it is too large."""
        qos = head >> 1 & 3
        topic_end = 2 + int.from_bytes(body[:2], "big")
        end = topic_end + (2 if qos else 0)
        if qos == 3 or len(body) < max(end, 2):
            raise ProtocolError("a message that is none")
        payload, beside = body[end:], b""
        if self._version == 5:
            kept, after = _kept(body, end, ASKED) if whole else (b"", end)
            payload, beside = body[after:], _framed(kept)
        if not whole or len(payload) > len(self._too_large):
            payload = self._too_large
        if qos == HIGHEST_QOS:
            self._hold(body[topic_end:end], end + len(beside) + len(payload))
        return _packet(head, body[:end] + beside + payload)

    def _hold(self, number: bytes, size: int) -> None:
        """paho keeps a message of QoS 2 until the broker releases it."""
        self._unreleased[number] = size
        if len(self._unreleased) > MOST_UNRELEASED or sum(self._unreleased.values()) > MOST_UNRELEASED_BYTES:
            raise ProtocolError("messages of QoS 2 that it does not release")


def _kept(body: bytes, at: int, wanted: frozenset[int]) -> tuple[bytes, int]:
    """Of the properties that begin at `at` those that are `wanted`, as they stand there, and where all end (2.2.2)."""
    length, start = _number(body, at) or (len(body), at)
    end, at = start + length, start
    if end > len(body):
        raise ProtocolError("properties beyond the packet")
    kept: dict[int, bytes] = {}
    for identifier, after in _properties(body, start, end):
        if identifier in kept:
            raise ProtocolError(f"property {identifier} twice")
        if identifier in wanted:
            kept[identifier] = body[at:after]
        at = after
    if int.from_bytes(kept.get(SIZE_LIMIT, b"")[1:], "big") > PACKET_MAXIMUM:
        del kept[SIZE_LIMIT]  # no limit at all; paho takes it for a fault
    return b"".join(kept.values()), end


def _properties(body: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Each property's identifier, and where it ends."""
    while at < end:
        identifier = body[at]
        at += 1 + FIXED.get(identifier, 0)
        for _ in range(TEXTS.get(identifier, 0)):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
        if identifier == NUMBERED:
            at = (_number(body, at) or (0, end + 1))[1]
        elif identifier not in FIXED and identifier not in TEXTS:
            raise ProtocolError(f"property {identifier}")
        if at > end:
            raise ProtocolError("a property beyond the others")
        yield identifier, at


def _number(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """The number of variable length that begins there, and where it ends (1.5.5); None where it is cut off."""
    value = 0
    for count in range(4):
        if len(data) <= at + count:
            return None
        value |= (data[at + count] & 127) << 7 * count
        if data[at + count] < 128:
            return value, at + count + 1
    raise ProtocolError("a length without end")


def _framed(content: bytes) -> bytes:
    """Bytes after their number."""
    length, number = len(content), bytearray()
    while length > 127:
        number.append(length & 127 | 128)
        length >>= 7
    return bytes([*number, length]) + content


def _packet(head: int, content: bytes) -> bytes:
    return bytes([head]) + _framed(content)
