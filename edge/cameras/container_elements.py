"""The elements of MP4 and Matroska files: boxes and EBML. Shell over an open file.

Any number in a file may be wrong: it is used only to find the next element, and the number of elements is limited.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_MAX_ELEMENTS = 100_000  # read in one go: a fragmented MP4 has two a second
_MAX_OFFSET = 1 << 62  # in a file


class ContainerElement(NamedTuple):
    """Its name, and the offsets at which its content begins and ends; `end` is None where it is not given."""

    name: bytes
    begin: int
    end: int | None


def boxes(file: BinaryIO, begin: int, end: int) -> Iterator[ContainerElement]:
    """The boxes of MP4 and QuickTime between two offsets; each gives its length, 0 for "to the end"."""
    for _ in range(_MAX_ELEMENTS):
        if begin >= end:
            return
        file.seek(begin)
        head = file.read(16)
        length, size = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, size = int.from_bytes(head[8:16], "big"), 16
        if len(head) < 8 or 0 < length < size:
            return
        yield ContainerElement(head[4:8], begin + size, begin + length if length else None)
        begin = min(begin + length, _MAX_OFFSET) if length else end


def matroska(file: BinaryIO, begin: int, end: int) -> Iterator[ContainerElement]:
    """The EBML elements between two offsets."""
    for _ in range(_MAX_ELEMENTS):
        if begin >= end:
            return
        file.seek(begin)
        first = file.read(1)
        name = first + file.read(_more(first))
        bits, length = _number(file)
        if not bits:
            return
        place = file.tell()
        known = length != (1 << bits) - 1
        yield ContainerElement(name, place, place + length if known else None)
        begin = place + length if known else end


def _more(first: bytes) -> int:
    """How many bytes follow the first one of an EBML number."""
    return 8 - first[0].bit_length() if first and first[0] else 0


def _number(file: BinaryIO) -> tuple[int, int]:
    """An EBML number: its bits, 0 where there is none, and its value; all bits set means "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, 0
    more = _more(first)
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - more)) - 1)]) + file.read(more), "big")
    return 7 * (more + 1), value
