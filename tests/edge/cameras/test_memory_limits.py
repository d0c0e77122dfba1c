"""What a capture process may take; real processes, since what is limited is this one."""

import re
import subprocess
import sys
import threading

import pytest

from edge.cameras.image_transform import MAX_PIXELS
from edge.cameras.memory_limits import (
    BLOCK_BYTES,
    FIRST_IMAGE_BYTES,
    MAX_BYTES,
    SPARE_BYTES,
    MemoryMonitor,
    allowance,
    private_bytes,
)
from tests.support.paths import ROOT

MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("pixels", "most"),
    [
        (0, FIRST_IMAGE_BYTES),
        (1, SPARE_BYTES + 72),  # 24 pictures of 3 bytes a pixel
        (640 * 480, SPARE_BYTES + 22_118_400),
        (1920 * 1080, SPARE_BYTES + 149_299_200),
        (3840 * 2160, SPARE_BYTES + 597_196_800),
        (MAX_PIXELS, MAX_BYTES),
    ],
)
def test_memory_that_images_need(pixels: int, most: int) -> None:
    assert allowance(pixels) == most


def test_own_memory_is_what_was_filled_not_what_was_asked_for() -> None:
    import mmap

    before = private_bytes()
    with mmap.mmap(-1, 256 * MEBIBYTE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        assert private_bytes() - before < 16 * MEBIBYTE
        memory[: 64 * MEBIBYTE] = b"x" * (64 * MEBIBYTE)
        assert private_bytes() - before > 60 * MEBIBYTE


def test_exceeding_the_limit_is_reported_once() -> None:
    faults: list[str] = []
    reported = threading.Event()

    def exceeded(fault: str) -> None:
        faults.append(fault)
        reported.set()

    monitor = MemoryMonitor(exceeded)
    monitor.image_size(320, 240)
    monitor.image_size(640, 480)
    monitor.image_size(16, 16)
    kept: list[bytes] = []
    while not reported.wait(1) and len(kept) < 8:  # what tests before this one leave may be freed meanwhile
        kept.append(b"x" * (200 * MEBIBYTE))
    assert reported.is_set()
    assert kept
    assert faults[0].endswith("MiB of memory, more than pictures of 640x480 need")


BLOCKS = """
import ctypes, cv2
from edge.cameras.memory_limits import _mapped, limit_ffmpeg_blocks
library = ctypes.CDLL(sorted(_mapped("libavutil"))[0])
library.av_malloc.restype, library.av_malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def given(mebibytes):
    return bool(library.av_malloc(mebibytes << 20))
assert given(100)
assert limit_ffmpeg_blocks()
print(given(100), given(70))
limit_ffmpeg_blocks(8192 * 8192)
print(given(100), given(255), given(257))
"""


def test_an_ffmpeg_block_is_no_larger_than_an_image_needs() -> None:
    """80 MiB at first, and 4 bytes a pixel: 256 MiB for 8192 x 8192."""
    assert BLOCK_BYTES == 80 * MEBIBYTE
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\nTrue True False\n"


DATA = """
from edge.cameras.memory_limits import HARD_BYTES, limit_data_segment
limit_data_segment()
limit_data_segment()
kept = bytearray(1 << 20)
try:
    bytearray(HARD_BYTES)
except MemoryError:
    print("refused")
"""


def test_beyond_the_last_limit_the_kernel_refuses() -> None:
    done = subprocess.run([sys.executable, "-c", DATA], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_the_unit_bounds_the_whole_service_below_the_machine() -> None:
    unit = (ROOT / "systemd/korsal-edge.service").read_text()
    limits = dict(re.findall(r"(?m)^(Memory\w+)=(\d+)%$", unit))
    assert 0 < int(limits["MemoryHigh"]) < int(limits["MemoryMax"]) <= 90
    assert "OOMPolicy=continue" in unit, "so that a camera's process that is ended for its memory does not end the rest"
