"""Decoded training frames: each video once as JPEGs in one file, so that any frame is one short read. Shell."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import read_file
from edge.files import write_atomically
from edge.terminal import progress
from train.datasets.video_names import stays_inside

JPEG_QUALITY = 95
LONGEST_STEM = 190  # bytes of a video's name, of the 255 that a file's name may have
FORMAT = b"2"  # part of the file's name; version 1 left out the frames after a damaged one
REMEDY = "delete the file, it is created again"


StoredNumber = TypeVar("StoredNumber", np.uint8, np.int64)


class FrameError(Exception):
    """Frames that cannot be read or written."""


class PackedVideo:
    """Random access to the frames of a packed video.

    `held`: the rising numbers of the frames that it holds: those that could not be decoded keep their numbers and are
    missing. File: int64 count, int64 × (count + 1) offsets from the end of this table, then the JPEGs, of which one
    that is missing takes no byte. Raises FrameError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offsets = _offsets(path)
        self.held: NDArray[np.int64] = np.flatnonzero(np.diff(self.offsets))
        self.size: tuple[int, int] = self[int(self.held[0])].shape[1::-1]  # (width, height) of its frames, pixels

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Frame `index`, (H, W, 3) BGR; FrameError where it is not held."""
        if not (0 <= index < len(self) and self.offsets[index] < self.offsets[index + 1]):
            raise FrameError(f"{self.path}: has no frame {index}: it could not be decoded, or lies beyond the end")
        start, end = self.offsets[index : index + 2]
        content = _numbers(self.path, np.uint8, int(end - start), 8 * (len(self.offsets) + 1) + int(start))
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) == end - start else None
        if image is None:
            raise FrameError(f"{self.path}: frame {index} is damaged; {REMEDY}")
        return image.astype(np.uint8, copy=False)

    def before(self, index: int, gap: int) -> int | None:
        """The frame `gap` held ones before this one, the first where there are fewer; None before the first."""
        place = int(np.searchsorted(self.held, index))
        return int(self.held[max(place - gap, 0)]) if place else None


def _offsets(path: Path) -> NDArray[np.int64]:
    """The table of a packed video, (frames + 1,); FrameError unless it describes the whole file."""
    words = _size(path) // 8
    count = _numbers(path, np.int64, 1, 0)
    if len(count) == 1 and 1 <= count[0] <= words - 2:
        offsets = _numbers(path, np.int64, int(count[0]) + 1, 8)
        ends = (offsets[0], offsets[-1] + 8 * (len(offsets) + 1))
        if ends == (0, _size(path)) and (offsets[1:] >= offsets[:-1]).all() and offsets[-1]:
            return offsets
    raise FrameError(f"{path}: is damaged or cut short; {REMEDY}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FrameError(
            f"{path}: cannot be read ({error.strerror}); run it again, missing files are created"
        ) from error


def _numbers(path: Path, kind: type[StoredNumber], count: int, offset: int) -> NDArray[StoredNumber]:
    """So many numbers from a place of a file, fewer where it ends."""
    try:
        return np.fromfile(path, kind, count, offset=offset)
    except OSError as error:
        raise FrameError(f"{path}: cannot be read ({error}); {REMEDY}") from error


def pack(video: Path, packed: Path) -> None:
    """Decode `video` into `packed`, whole or not at all, also where another training does so just now.

    Raises CaptureError, FrameError.
    """
    jpegs: list[bytes] = []
    for frame in read_file(video, video.stem):
        jpegs += [b""] * (frame.index - len(jpegs))
        written, content = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not written:
            raise FrameError(f"{video}: frame {frame.index} cannot be written as JPEG")
        jpegs.append(content.tobytes())
    offsets = np.cumsum([0, *map(len, jpegs)], dtype=np.int64)
    try:
        write_atomically(packed, np.int64(len(jpegs)).tobytes() + offsets.tobytes() + b"".join(jpegs))
    except OSError as error:
        raise FrameError(
            f"{packed}: cannot be written ({error.strerror}); free space on the disk or choose another --cache"
        ) from error


def packed_path(name: str, video: Path, cache: Path) -> Path:
    """Where `cache` keeps the frames of this file as it is now: another place, size or time is another file."""
    if not stays_inside(name):
        raise FrameError(f"{cache}: a video named {name!r} would lie outside of it; name it without .. and a leading /")
    try:
        facts = video.stat()
        size, changed = facts.st_size, facts.st_mtime_ns
    except OSError:
        size, changed = 0, 0  # reading it will fail with the reason
    source = b"\0".join([FORMAT, os.fsencode(video.resolve()), str(size).encode(), str(changed).encode()])
    folder, slash, stem = name.rpartition("/")
    short = os.fsencode(stem)[:LONGEST_STEM].decode(errors="ignore")
    return cache / f"{folder}{slash}{short}.{hashlib.sha256(source).hexdigest()[:16]}.frames"


def open_packed(videos: Iterable[tuple[str, Path]], cache: Path) -> dict[str, PackedVideo]:
    """Packed videos by name; what `cache` lacks is packed first, with a progress bar. Raises CaptureError, FrameError.

    What was packed of another file of that name, or before the file changed, stays where it is and is not taken.
    """
    wanted = [(name, path, packed_path(name, path, cache)) for name, path in videos]
    missing = {packed: path for _, path, packed in wanted if not packed.exists()}
    done = in_threads(pack, list(missing.values()), list(missing))
    for _ in progress.track(done, "decoding", "video", len(missing)):
        pass
    return {name: PackedVideo(packed) for name, _, packed in wanted}


def in_threads(work: Callable[..., None], *arguments: Sequence[Any]) -> Iterator[None]:
    """Call `work` on one of each of the arguments, as many at once as there are processors.

    Yields whenever a call is over; the first that fails ends it all with its error.
    """
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        yield from pool.map(work, *arguments)
    finally:
        pool.shutdown(cancel_futures=True)
