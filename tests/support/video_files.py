"""Video files with the oddities of real ones, byte by byte: time stamps, rates, edit lists, orientation, damage.

Every frame is a JPEG, which any FFmpeg decodes; what is odd is the container around it.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.sources import BgrImage

UNTURNED = (1, 0, 0, 1)
MATRICES = (
    UNTURNED, (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)
)  # fmt: skip


def shades(count: int, width: int = 64, height: int = 48) -> list[BgrImage]:
    """Frame i has the value 6 i all over, so that 40 can be distinguished."""
    return [np.full((height, width, 3), min(6 * index, 255), np.uint8) for index in range(count)]


def shade(image: BgrImage) -> int:
    """Which of `shades` a picture is."""
    return round(float(image.mean()) / 6)


def corners(width: int = 64, height: int = 48) -> BgrImage:
    """A picture whose four quarters show its orientation: white, blue, red, black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 255
    image[: height // 2, width // 2 :, 0] = 255
    image[height // 2 :, : width // 2, 2] = 255
    return image


def quarters(image: BgrImage) -> list[list[int]]:
    """Of the quarters of a picture, left to right and down: 1 where a channel (B, G, R) is on."""
    height, width = image.shape[:2]
    return [[int(v > 100) for v in image[y * height // 4, x * width // 4]] for y in (1, 3) for x in (1, 3)]


def moved(image: BgrImage, matrix: tuple[int, int, int, int]) -> BgrImage:
    """The picture as a player shows it: each pixel (x, y) goes to (a x + c y, b x + d y)."""
    a, b, c, d = matrix
    y, x = np.indices(image.shape[:2])
    columns, rows = a * x + c * y, b * x + d * y
    columns, rows = columns - columns.min(), rows - rows.min()
    shown = np.zeros((rows.max() + 1, columns.max() + 1, 3), np.uint8)
    shown[rows, columns] = image
    return shown


def jpegs(pictures: Sequence[BgrImage], damaged: Sequence[int] = ()) -> list[bytes]:
    """Each picture as a JPEG; those `damaged` are zeros behind their first two bytes."""
    encoded = [cv2.imencode(".jpg", one)[1].tobytes() for one in pictures]
    return [one[:2] + bytes(len(one) - 2) if number in damaged else one for number, one in enumerate(encoded)]


def write_video(path: Path, code: str, frames: int = 50) -> Path:
    """A video of 25 frames per second; frame i has the value 4 i all over."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25.0, (160, 120))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((120, 160, 3), 4 * index, np.uint8))
    writer.release()
    return path


def write_matroska(
    path: Path,
    frames: Sequence[bytes],
    stamps: Sequence[float],
    size: tuple[int, int] = (64, 48),
    announced_fps: float | None = None,
    seconds: float | None = None,
    roll: float = 0.0,
) -> Path:
    """A Matroska file whose frames have these time stamps (s, in whole milliseconds), turned by `roll` degrees."""
    turned = _element(0x7670, _element(0x7675, struct.pack(">f", roll))) if roll else b""
    video = _element(0xE0, _unsigned(0xB0, size[0]) + _unsigned(0xBA, size[1]) + turned)
    entry = _unsigned(0xD7, 1) + _unsigned(0x73C5, 1) + _unsigned(0x83, 1) + _element(0x86, b"V_MJPEG") + video
    if announced_fps:
        entry += _unsigned(0x23E383, round(1e9 / announced_fps))
    length = _element(0x4489, struct.pack(">d", 1000 * seconds)) if seconds else b""
    information = _element(0x1549A966, _unsigned(0x2AD7B1, 1_000_000) + length)
    clusters = b"".join(
        _element(0x1F43B675, _unsigned(0xE7, round(1000 * stamp)) + _element(0xA3, b"\x81\0\0\x80" + frame))
        for frame, stamp in zip(frames, stamps, strict=True)
    )
    segment = _element(0x18538067, information + _element(0x1654AE6B, _element(0xAE, entry)) + clusters)
    path.write_bytes(_element(0x1A45DFA3, _element(0x4282, b"matroska")) + segment)
    return path


def _element(name: int, content: bytes) -> bytes:
    """An EBML element whose length takes eight bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _unsigned(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(8, "big"))


def write_mp4(
    path: Path,
    frames: Sequence[bytes],
    steps: Sequence[int],
    size: tuple[int, int] = (64, 48),
    hidden: int = 0,
    matrix: tuple[int, int, int, int] = UNTURNED,
) -> Path:
    """An MP4, each of its frames so many milliseconds long, of which an edit list hides the first ones.

    `matrix`: a, b, c, d of the track's display matrix, which takes (x, y) to (a x + c y, b x + d y).
    """
    shown = sum(steps[hidden:])
    start = _box(b"ftyp", b"isom\0\0\2\0isommp41")
    edits = _box(b"edts", _full(b"elst", _words(1, shown, sum(steps[:hidden]), 0x10000)))
    track = _box(b"trak", _track_header(shown, size, matrix) + edits + _media(frames, steps, size, len(start) + 8))
    moov = _box(
        b"moov",
        _full(b"mvhd", _words(0, 0, 1000, shown, 0x10000, 0x1000000, 0, 0) + _MATRIX + _words(*[0] * 6, 2)) + track,
    )
    path.write_bytes(start + _box(b"mdat", b"".join(frames)) + moov)
    return path


def _track_header(duration: int, size: tuple[int, int], matrix: tuple[int, int, int, int]) -> bytes:
    a, b, c, d = (value * 0x10000 & 0xFFFFFFFF for value in matrix)
    numbers = _words(0, 0, 1, 0, duration, 0, 0, 0, 0, a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return _full(b"tkhd", numbers + _words(size[0] << 16, size[1] << 16), flags=3)


def _media(frames: Sequence[bytes], steps: Sequence[int], size: tuple[int, int], offset: int) -> bytes:
    header = _full(b"mdhd", _words(0, 0, 1000, sum(steps), 0x55C40000))
    handler = _full(b"hdlr", b"\0\0\0\0vide" + bytes(13))
    visual = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HHIIIH", *size, 0x480000, 0x480000, 0, 1) + bytes(32)
    described = _full(b"stsd", _words(1) + _box(b"jpeg", visual + b"\0\x18\xff\xff"))
    times = _full(b"stts", _words(len(steps), *[number for step in steps for number in (1, step)]))
    chunks = _full(b"stsc", _words(1, 1, len(frames), 1)) + _full(b"stco", _words(1, offset))
    sizes = _full(b"stsz", _words(0, len(frames), *map(len, frames)))
    found = _box(b"dinf", _full(b"dref", _words(1) + _full(b"url ", b"", flags=1)))
    tables = _box(
        b"minf", _full(b"vmhd", bytes(8), flags=1) + found + _box(b"stbl", described + times + chunks + sizes)
    )
    return _box(b"mdia", header + handler + tables)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, content: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags) + content)


def _words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


_MATRIX = _words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
