"""H.264 as encoders write it (ITU-T H.264, Annex B): cut into frames, and made fit for MP4. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

START = b"\x00\x00\x01"
SLICE, KEY_SLICE, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9  # types of NAL units
LARGEST_PENDING = 16 * 1024 * 1024  # bytes without a start code: no encoder of ours writes such frames


@dataclass(frozen=True)
class EncodedFrame:
    """One frame: its NAL units without start codes, the parameter sets before it among them."""

    units: tuple[bytes, ...]

    @property
    def key(self) -> bool:
        """Whether decoding can begin here."""
        return any(kind(unit) == KEY_SLICE for unit in self.units)

    def parameters(self, wanted: int) -> bytes | None:
        """The parameter set of a type (SPS or PPS) that comes with it, if one does."""
        return next((unit for unit in self.units if kind(unit) == wanted), None)

    def sample(self) -> bytes:
        """As an MP4 holds it: each slice after its length; parameter sets are in the file's header."""
        kept = [unit for unit in self.units if kind(unit) not in (SPS, PPS, DELIMITER)]
        return b"".join(len(unit).to_bytes(4, "big") + unit for unit in kept)


class FrameSplitter:
    """Cuts a byte stream into frames as it comes."""

    def __init__(self) -> None:
        self._rest = b""
        self._units: list[bytes] = []

    def add(self, content: bytes) -> Iterator[EncodedFrame]:
        """More of the stream; the frames that are complete with it. A frame is when the next one begins.

        ValueError where it is no such stream.
        """
        *whole, self._rest = (self._rest + content).split(START)
        if len(self._rest) > LARGEST_PENDING:
            raise ValueError("the encoder does not write H.264")
        for unit in whole:
            yield from self._unit(unit)

    def end(self) -> Iterator[EncodedFrame]:
        """The last frame, once the stream has ended."""
        yield from self._unit(self._rest)
        self._rest = b""
        if any(is_slice(unit) for unit in self._units):
            yield EncodedFrame(tuple(self._units))
        self._units = []

    def _unit(self, raw: bytes) -> Iterator[EncodedFrame]:
        unit = raw.rstrip(b"\x00")  # a fourth zero of the next start code; no unit ends with one
        if not unit:
            return
        if any(is_slice(one) for one in self._units) and begins_frame(unit):
            yield EncodedFrame(tuple(self._units))
            self._units = []
        self._units.append(unit)


def units(content: bytes) -> tuple[bytes, ...]:
    """The NAL units of one frame that is there as a whole, without start codes."""
    return tuple(filter(None, (one.rstrip(b"\x00") for one in content.split(START))))


def kind(unit: bytes) -> int:
    """The type of a NAL unit."""
    return unit[0] & 31


def is_slice(unit: bytes) -> bool:
    """Whether it holds a part of the picture."""
    return kind(unit) in (SLICE, KEY_SLICE)


def begins_frame(unit: bytes) -> bool:
    """Whether a unit that follows a slice belongs to the next frame: a slice does where it begins at macroblock 0."""
    if is_slice(unit):
        return len(unit) > 1 and bool(unit[1] & 0x80)
    return kind(unit) in (SEI, SPS, PPS, DELIMITER)
