"""How much memory a capture process may take, by the size of its pictures. Shell over /proc, FFmpeg and the kernel.

A camera can send a picture without end, and FFmpeg and GStreamer keep what they have of it until it is whole. Three
bounds, the nearest first:

- No block of FFmpeg's is larger than BLOCK_BYTES, or than a picture needs, so that a packet without end is given up.
- The process looks at its own memory and ends with a sentence above what its pictures need. It counts what is in
  memory and belongs to no file, not addresses: CUDA and NVIDIA's decoders map many gigabytes that they never fill, so
  that a limit for addresses (RLIMIT_AS, RLIMIT_DATA) would be either useless or the end of every camera of a Jetson.
- Where FFmpeg alone reads the camera the kernel holds RLIMIT_DATA, for what outruns that look.
"""

import contextlib
import ctypes
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

from edge import threads

BLOCK_BYTES = 80 << 20  # the brightness of the largest picture, 64 million pixels, and some more
PIXEL_BYTES = 4  # of the largest block that holds a whole picture: 3, and what rows are padded with
FIRST_IMAGE_BYTES = (
    768 << 20
)  # until a picture has come: 4K with 16 references and 16 threads holds some 600 MiB by then
SPARE_BYTES = 96 << 20
IMAGES_HELD = 24  # of 3 bytes a pixel: 16 references and 16 threads at 1.5 bytes, and the copies that we make
MAX_BYTES = 1536 << 20  # however large the pictures are
HARD_BYTES = 3 << 30
CHECK_SECONDS = 0.1

_PAGE = resource.getpagesize()


def allowance(pixels: int) -> int:
    """Bytes that a process may take beyond what it had when its pictures began to come; `pixels` of each, 0 before."""
    return min(SPARE_BYTES + IMAGES_HELD * 3 * pixels, MAX_BYTES) if pixels else FIRST_IMAGE_BYTES


class MemoryMonitor:
    """Looks at this process's memory from a thread of its own and calls `exceeded` once with a sentence's beginning."""

    def __init__(self, exceeded: Callable[[str], None]) -> None:
        """Raises ThreadError."""
        self._exceeded = exceeded
        self._before = private_bytes()
        self._size = (0, 0)
        self._ended = threading.Event()
        threads.start("memory", self._watch)

    def picture(self, width: int, height: int) -> None:
        """A picture of this size has come; the largest counts."""
        if width * height > self._size[0] * self._size[1]:
            if self._size == (0, 0):
                self._before = private_bytes()  # with all libraries that it takes to open a camera
            self._size = (width, height)

    def _watch(self) -> None:
        while not self._ended.wait(CHECK_SECONDS):
            width, height = self._size
            taken = private_bytes() - self._before
            if taken > allowance(width * height):
                what = f"pictures of {width}x{height} need" if width else "the first picture of a camera needs"
                self._exceeded(f"took {taken >> 20} MiB of memory, more than {what}")
                return


def private_bytes() -> int:
    """Of this process in memory, but for what is shared or is a file's."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE


def limit_ffmpeg_blocks(pixels: int = 0) -> bool:
    """Let no single block of FFmpeg's be larger than BLOCK_BYTES, or than a picture of so many pixels.

    False where FFmpeg is not to be found as a library of this process.
    """
    libraries = _mapped("libavutil")
    for path in libraries:
        limit = ctypes.CDLL(path).av_max_alloc
        limit.argtypes, limit.restype = [ctypes.c_size_t], None
        limit(max(BLOCK_BYTES, PIXEL_BYTES * pixels))
    return bool(libraries)


def limit_data_segment() -> None:
    """Have the kernel refuse what goes beyond HARD_BYTES. Not for a process that loads GStreamer or CUDA."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = HARD_BYTES if hard == resource.RLIM_INFINITY else min(hard, HARD_BYTES)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _mapped(name: str) -> set[str]:
    """The paths of the libraries of that name that this process has loaded."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].strip() for line in maps if f"/{name}" in line}
    return {path for path in paths if os.path.basename(path).startswith(name) and os.path.exists(path)}
