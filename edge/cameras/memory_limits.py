"""Limits on the memory of a capture process, by the size of its images. Shell over /proc, FFmpeg and the kernel.

A camera can send an image without end, and FFmpeg and GStreamer buffer it until it is complete. Three limits, the
tightest first:

- No block that FFmpeg allocates is larger than BLOCK_BYTES, or than an image needs: an endless packet is dropped.
- The process monitors its own memory, and exits with an error above what its images need. Counted is resident memory
  that belongs to no file, not address space: CUDA and NVIDIA's decoders map many gigabytes that they never fill, so
  that a limit on addresses (RLIMIT_AS, RLIMIT_DATA) would either be useless or kill every camera of a Jetson.
- Where only FFmpeg reads the camera, the kernel enforces RLIMIT_DATA, for what grows faster than the monitor checks.
"""

import contextlib
import ctypes
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

from edge import threads

BLOCK_BYTES = 80 << 20  # the luma plane of the largest image, 64 million pixels, and some more
PIXEL_BYTES = 4  # of the largest block that holds a whole image: 3, and the padding of rows
FIRST_IMAGE_BYTES = 768 << 20  # until the first image: 4K with 16 references and 16 threads holds some 600 MiB by then
SPARE_BYTES = 96 << 20
IMAGES_HELD = 24  # of 3 bytes a pixel: 16 references and 16 threads at 1.5 bytes, and our own copies
MAX_BYTES = 1536 << 20  # however large the images are
HARD_BYTES = 3 << 30
CHECK_SECONDS = 0.1

_PAGE = resource.getpagesize()


def allowance(pixels: int) -> int:
    """Bytes that a process may take beyond those at its first image; `pixels`: of the largest image, 0 before it."""
    return min(SPARE_BYTES + IMAGES_HELD * 3 * pixels, MAX_BYTES) if pixels else FIRST_IMAGE_BYTES


class MemoryMonitor:
    """A thread that watches this process's memory, and calls `exceeded` once with the beginning of a message."""

    def __init__(self, exceeded: Callable[[str], None]) -> None:
        """Raises ThreadError."""
        self._exceeded = exceeded
        self._before = private_bytes()
        self._size = (0, 0)
        self._ended = threading.Event()
        threads.start("memory", self._watch)

    def image_size(self, width: int, height: int) -> None:
        """Allow for images of this size; the largest so far counts."""
        if width * height > self._size[0] * self._size[1]:
            if self._size == (0, 0):
                self._before = private_bytes()  # with all libraries that opening a camera loads
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
    """This process's resident memory, without what is shared or belongs to a file."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE


def limit_ffmpeg_blocks(pixels: int = 0) -> bool:
    """Limit each block that FFmpeg allocates to BLOCK_BYTES, or to an image of so many pixels if that is more.

    False where this process has not loaded FFmpeg.
    """
    libraries = _mapped("libavutil")
    for path in libraries:
        limit = ctypes.CDLL(path).av_max_alloc
        limit.argtypes, limit.restype = [ctypes.c_size_t], None
        limit(max(BLOCK_BYTES, PIXEL_BYTES * pixels))
    return bool(libraries)


def limit_data_segment() -> None:
    """Have the kernel refuse memory beyond HARD_BYTES. Not for a process that loads GStreamer or CUDA."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = HARD_BYTES if hard == resource.RLIM_INFINITY else min(hard, HARD_BYTES)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _mapped(name: str) -> set[str]:
    """Paths of the loaded libraries whose file names begin with `name`."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].strip() for line in maps if f"/{name}" in line}
    return {path for path in paths if os.path.basename(path).startswith(name) and os.path.exists(path)}
