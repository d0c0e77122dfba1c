"""Whether a video file ends before its container says that it does. Shell over the file's first bytes.

What a container says of its frames is no measure: it counts those that an edit list hides, and it multiplies a length
with a rate. What its outermost elements say of their own bytes is one. AVI, MP4, QuickTime, Matroska and WebM say it;
transport streams and others do not.
"""

from pathlib import Path
from typing import BinaryIO

_MATROSKA = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_BOXES = frozenset(b"ftyp moov mdat wide free skip pnot moof mfra sidx styp uuid emsg prft meta".split())  # of MP4
_MOST_ELEMENTS = 100_000  # at the outermost level: a fragmented MP4 has two a second


def bytes_missing(path: Path) -> int:
    """How many bytes lie beyond the end of the file by its own account; 0 where it is whole or gives none. OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            end = _end_of_riff(file, size)
        elif head[4:8] in _BOXES:
            end = _end_of_boxes(file, size)
        elif head[:4] == _MATROSKA:
            end = _end_of_segment(file)
        else:
            return 0
    return max(0, end - size)


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """A long AVI holds several RIFF chunks; one that was written into a pipe, or not to its end, says 0 or all bits."""
    end = 0
    for _ in range(_MOST_ELEMENTS):
        file.seek(end)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF" or head[4:] == b"\xff" * 4:
            break
        end += 8 + int.from_bytes(head[4:], "little")
        if end >= size:
            break
    return end


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    end = 0
    for _ in range(_MOST_ELEMENTS):
        file.seek(end)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or length < 8 or head[4:8] not in _BOXES:
            break  # the last box may reach to the end, with a length of 0, and something else may follow
        end += length
        if end >= size:
            break
    return end


def _end_of_segment(file: BinaryIO) -> int:
    """Of the first segment; 0 where its length is not known, as in what is recorded live."""
    file.seek(4)
    _, header = _number(file)
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return 0
    bits, length = _number(file)
    return 0 if length == (1 << bits) - 1 else file.tell() + length


def _number(file: BinaryIO) -> tuple[int, int]:
    """EBML's number of 1 to 8 bytes: how many bits it has, and its value; all bits set says "not known"."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, 0
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - more)) - 1)]) + file.read(more), "big")
    return 7 * (more + 1), value
