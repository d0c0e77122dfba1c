"""Repairs SQLite's write-ahead log, so that it is read beyond a damaged place. Pure.

SQLite reads the log up to the first frame whose checksum is wrong and silently ignores the rest, so that one flipped
bit may cost thousands of messages. Here the checksums are computed again, so that it reads all frames; damage within a
frame is found by the checksums of the rows.

The format: https://sqlite.org/fileformat2.html#walformat
"""

import struct
from collections.abc import Iterator

HEADER = struct.Struct(">IIIIII")  # magic, version, page size, number of checkpoints, two salts; then two checksums
FRAME = struct.Struct(">IIII")  # page, pages after a commit, two salts; then two checksums
SUMS = struct.Struct(">II")
LITTLE_ENDIAN, VERSION = 0x377F0682, 3_007_000
PAGE_SIZE = 4096  # bytes; what SQLite makes databases with

Checksum = tuple[int, int]


def repaired(log: bytes) -> bytes | None:
    """The log with right checksums, up to its last frame; None where it has no frame of its own.

    Frames from before the last checkpoint, which SQLite does not remove, have other salts and are left out.
    """
    _, version, size, checkpoints, *salts = _header(log)
    frames = list(_frames(log, size))
    own = [number for number, (head, _) in enumerate(frames) if list(head[2:]) == salts]
    if not own:
        return None
    start = HEADER.pack(LITTLE_ENDIAN, version, size, checkpoints, *salts)
    sums = checksum(start, (0, 0))
    parts = [start, SUMS.pack(*sums)]
    for (page, pages, *_), content in frames[: own[-1] + 1]:
        if not page:  # where it belongs is unknown
            continue
        head = FRAME.pack(page, pages, *salts)
        sums = checksum(head[:8] + content, sums)
        parts += [head, SUMS.pack(*sums), content]
    return b"".join(parts)


def checksum(content: bytes, before: Checksum) -> Checksum:
    """SQLite's checksum, over pairs of little-endian 32-bit words."""
    first, second = before
    for one, other in struct.iter_unpack("<II", content[: len(content) // 8 * 8]):
        first = (first + one + second) & 0xFFFF_FFFF
        second = (second + other + first) & 0xFFFF_FFFF
    return first, second


def _header(log: bytes) -> tuple[int, ...]:
    """The log's own header, or where it is damaged one that fits its first frame."""
    start, sums = log[: HEADER.size], log[HEADER.size : HEADER.size + SUMS.size]
    if start[:4] == LITTLE_ENDIAN.to_bytes(4, "big") and SUMS.pack(*checksum(start, (0, 0))) == sums:
        return HEADER.unpack(start)
    first = next(_frames(log, PAGE_SIZE), None)
    salts = (0, 0) if first is None else first[0][2:]
    return LITTLE_ENDIAN, VERSION, PAGE_SIZE, 0, *salts


def _frames(log: bytes, size: int) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Head and page of each frame."""
    step = FRAME.size + SUMS.size + size
    for start in range(HEADER.size + SUMS.size, len(log) - step + 1, step):
        yield FRAME.unpack_from(log, start), log[start + FRAME.size + SUMS.size : start + step]
