"""What a video file's container says that OpenCV does not report, or reports wrongly. Shell over the file itself.

Whether the file is truncated: the number of frames that a container gives is no measure, since it includes those that
an edit list hides, or is a length times a rate. The sizes that its outermost elements give are one. AVI, MP4,
QuickTime, Matroska and WebM have them; transport streams and others do not.

Its orientation: phones record in the orientation of their sensor and leave the rotation to the player. OpenCV rotates
in some versions, in the wrong direction in others (4.6 with FFmpeg 5), never where the video is mirrored too, and not
at all through GStreamer.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edge.cameras.container_elements import ContainerElement, boxes, matroska
from edge.sources import Flip, Rotation

_BOXES = frozenset(b"ftyp moov mdat wide free skip pnot moof mfra sidx styp uuid emsg prft meta".split())
_EBML, _SEGMENT, _TRACKS, _ENTRY = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"
_VIDEO, _PROJECTION, _ROLL, _CLUSTER = b"\xe0", b"\x76\x70", b"\x76\x75", b"\x1f\x43\xb6\x75"


class Orientation(NamedTuple):
    """What makes a frame upright: a flip, then a clockwise rotation."""

    flip: Flip = "none"
    rotation: Rotation = 0


# A display matrix takes a pixel (x, y) to (a x + c y, b x + d y), y downwards.
_BY_MATRIX: dict[tuple[int, int, int, int], Orientation] = {
    (1, 0, 0, 1): Orientation(), (0, 1, -1, 0): Orientation("none", 90),
    (-1, 0, 0, -1): Orientation("none", 180), (0, -1, 1, 0): Orientation("none", 270),
    (-1, 0, 0, 1): Orientation("horizontal"), (1, 0, 0, -1): Orientation("vertical"),
    (0, -1, -1, 0): Orientation("horizontal", 90), (0, 1, 1, 0): Orientation("horizontal", 270),
}  # fmt: skip


def bytes_missing(path: Path) -> int:
    """How many bytes the file lacks by its own account; 0 where it is complete or does not say. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            end = _end_of_riff(file, size)
        elif head[4:8] in _BOXES:
            known = [box.end for box in boxes(file, 0, size) if box.name in _BOXES and box.end]
            end = max(known, default=0)
        elif head[:4] == _EBML:
            end = next((element.end or 0 for element in matroska(file, 0, size) if element.name == _SEGMENT), 0)
        else:
            return 0
    return max(0, end - size)


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """The end of the last RIFF chunk. A long AVI has several; a piped or unfinished one gives 0 or all ones."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF" or head[4:] == b"\xff" * 4:
            break
        end += 8 + int.from_bytes(head[4:], "little")
    return end


def orientation(path: Path) -> Orientation:
    """The orientation of the first video track of an MP4, QuickTime or Matroska file. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[4:] in _BOXES:
            return _by_matrix(_display_matrix(file, size))
        return _by_roll(_roll(file, size)) if head[:4] == _EBML else Orientation()


def _by_matrix(matrix: tuple[float, ...]) -> Orientation:
    """Of a display matrix; scaling is ignored, and so are angles other than quarter turns."""
    largest = max(map(abs, matrix), default=0.0) or 1.0
    a, b, c, d = (round(value / largest) for value in matrix) if len(matrix) == 4 else (1, 0, 0, 1)
    return _BY_MATRIX.get((a, b, c, d), Orientation())


def _display_matrix(file: BinaryIO, size: int) -> tuple[float, ...]:
    """a, b, c, d of the first video track; empty where there is none."""
    for track in _within(file, [ContainerElement(b"", 0, size)], b"moov", b"trak"):
        handler = next(_within(file, [track], b"mdia", b"hdlr"), None)
        header = next(_within(file, [track], b"tkhd"), None)
        if handler and header and _read(file, handler.begin + 8, 4) == b"vide":
            longer = _read(file, header.begin, 1) == b"\1"  # its times are of 64 bits
            numbers = _read(file, header.begin + (52 if longer else 40), 20)
            if len(numbers) == 20:
                a, b, _, c, d = struct.unpack(">5i", numbers)
                return a, b, c, d
    return ()


def _within(file: BinaryIO, parents: list[ContainerElement], *names: bytes) -> Iterator[ContainerElement]:
    """The boxes at a path of names."""
    for parent in parents:
        for box in boxes(file, parent.begin, parent.end or parent.begin):
            if box.name == names[0]:
                yield from _within(file, [box], *names[1:]) if names[1:] else (box,)


def _by_roll(degrees: float) -> Orientation:
    """Of Matroska's roll, which is counterclockwise, from -180 to 180."""
    turns: dict[int, Rotation] = {-90: 90, 90: 270, 180: 180, -180: 180}
    return Orientation("none", turns.get(round(degrees), 0))


def _roll(file: BinaryIO, size: int) -> float:
    """The roll of the first video track, degrees."""
    begin, end = 0, size
    for name in (_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _PROJECTION, _ROLL):
        found = _first(file, begin, end, name)
        if found is None:
            return 0.0
        begin, end = found.begin, size if found.end is None else found.end
    number = _read(file, begin, min(end - begin, 8))
    return float(struct.unpack({4: ">f", 8: ">d"}[len(number)], number)[0]) if len(number) in (4, 8) else 0.0


def _first(file: BinaryIO, begin: int, end: int, name: bytes) -> ContainerElement | None:
    """The first element of this name before the frames; of tracks, the first video track."""
    for element in matroska(file, begin, end):
        if element.name == name and (name != _ENTRY or _first(file, element.begin, element.end or end, _VIDEO)):
            return element
        if element.name == _CLUSTER:
            return None
    return None


def _read(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
