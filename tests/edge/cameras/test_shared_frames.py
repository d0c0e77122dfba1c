import os
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras.shared_frames import SharedFrame, SharedFrames
from tests.support.paths import ROOT

WRITER = """
import sys
import numpy as np
from edge.cameras.shared_frames import SharedFrames
shared = SharedFrames(int(sys.argv[1]))
number = 0
while True:
    number += 1
    side = 200 if number % 50 else 300
    shared.write(np.full((side, side, 3), number % 256, np.uint8), number, -number, number)
"""


def plain(value: int, height: int = 4, width: int = 6) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def other_end(shared: SharedFrames) -> SharedFrames:
    return SharedFrames(os.dup(shared.descriptor))


def next_picture(shared: SharedFrames, after: int) -> SharedFrame:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        picture = shared.newest(after)
        if picture is not None:
            return picture
        time.sleep(0.0005)
    raise AssertionError(f"no picture after number {after}")


@pytest.fixture
def shared() -> Iterator[SharedFrames]:
    memory = SharedFrames.create()
    yield memory
    memory.close()


def test_fresh_memory_holds_no_frame(shared: SharedFrames) -> None:
    assert shared.newest(0) is None
    assert shared.written == 0


def test_what_is_written_is_read_once(shared: SharedFrames) -> None:
    shared.write(plain(7), 1000.5, 2.25, 2**64 - 1)
    picture = shared.newest(0)
    assert picture is not None
    assert picture[:5] == (1, 1000.5, 2.25, 2.25, 2**64 - 1)
    np.testing.assert_array_equal(picture.image, plain(7))
    assert shared.newest(picture.number) is None


def test_the_newest_wins(shared: SharedFrames) -> None:
    for value in range(5):
        shared.write(plain(value), 0, 0, 0)
    picture = shared.newest(0)
    assert picture is not None
    assert (picture.number, shared.written) == (5, 5)
    assert picture.image.max() == 4


@pytest.mark.parametrize(
    ("fingerprints", "since"),
    [
        ([7], 1),
        ([7, 7, 7], 1),
        ([7, 7, 8], 3),
        ([7, 8, 8, 8], 2),
        ([7, 8, 7, 7], 3),  # it has not been the same all the time
    ],
)
def test_an_image_carries_the_time_since_when_it_is_unchanged(
    shared: SharedFrames, fingerprints: list[int], since: int
) -> None:
    for time_, fingerprint in enumerate(fingerprints, start=1):
        shared.write(plain(0), 1000, time_, fingerprint)
    picture = shared.newest(0)
    assert picture is not None
    assert (picture.fingerprint, picture.unchanged_since) == (fingerprints[-1], since)


def test_an_image_that_was_read_is_a_copy(shared: SharedFrames) -> None:
    shared.write(plain(1), 0, 0, 0)
    picture = shared.newest(0)
    assert picture is not None
    shared.write(plain(2), 0, 0, 0)
    shared.write(plain(3), 0, 0, 0)
    assert picture.image.max() == 1


@pytest.mark.parametrize("sizes", [[(4, 6), (1, 1), (4, 6)], [(1, 1), (30, 50), (300, 500)]])
def test_frames_may_change_their_size(shared: SharedFrames, sizes: list[tuple[int, int]]) -> None:
    reader = other_end(shared)
    for number, (height, width) in enumerate(sizes, start=1):
        shared.write(plain(number, height, width), 0, 0, 0)
        picture = next_picture(reader, number - 1)
        np.testing.assert_array_equal(picture.image, plain(number, height, width))
    reader.close()


def test_no_frame_is_torn_between_processes_even_when_the_writer_is_killed(shared: SharedFrames) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(shared.descriptor)]
    number = 0
    for _ in range(2):
        with subprocess.Popen(command, pass_fds=[shared.descriptor], env=environment) as writer:
            try:
                for _ in range(200):
                    picture = next_picture(shared, number)
                    number = picture.number
                    assert (picture.image == int(picture.unix_time) % 256).all()
                    assert picture.monotonic_time == -picture.unix_time
            finally:
                writer.kill()
        assert shared.newest(shared.written) is None  # the lock died with the writer
        shared.write(plain(9), 0, 0, 0)
        number = next_picture(shared, number).number


def test_nothing_is_left_after_close() -> None:
    before = set(os.listdir("/proc/self/fd"))
    memory = SharedFrames.create()
    memory.write(plain(1, 100, 100), 0, 0, 0)
    memory.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_size_that_its_memory_has_not_is_refused(shared: SharedFrames) -> None:
    """As a process could write it that a camera has taken over."""
    shared.write(plain(7), 1.0, 1.0, 1)
    end = other_end(shared)
    end._memory[112:120] = b"\xff" * 8  # height and width of the second slot: after 24 bytes of state, 48 + 40 of slots
    with pytest.raises(OSError, match="garbled"):
        shared.newest(0)
    end.close()
