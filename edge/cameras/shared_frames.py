"""The newest frame of one camera in memory that two processes share. Shell over an anonymous memory file.

One process writes, one reads, the newest frame wins. There are two slots: the writer fills the one that is not the
newest and then, under a lock, declares it the newest; the reader copies the newest under the same lock. So no frame is
ever torn, on processors with weak memory order too. The lock is a POSIX record lock: the kernel frees it when its
holder is killed. The memory has no name and is gone with the last process that holds it, however that one ends.
"""

import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Native layout: an aligned number is read and written in one piece, so that `written` may be read without the lock.
_STATE = struct.Struct("@QqQ")  # frames written so far, newest slot or -1, bytes in one slot
_SLOT = struct.Struct("@QdddQII")  # the fields of `SharedFrame`, but height and width for the image
_HEADER_BYTES = 4096  # one page


class SharedFrame(NamedTuple):
    """A frame as the writer left it: `number` counts from 1, `image` is (H, W, 3) uint8 BGR and the reader's own.

    `unchanged_since` is the monotonic time of the first in an unbroken run of frames with this `fingerprint`.
    """

    number: int
    unix_time: float
    monotonic_time: float
    unchanged_since: float
    fingerprint: int
    image: NDArray[np.uint8]


class SharedFrames:
    """One end of the shared memory; each process makes one from the same descriptor and owns it from then on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        self._fingerprint, self._unchanged_since = -1, 0.0  # of the frame written last; no fingerprint is negative

    @classmethod
    def create(cls) -> "SharedFrames":
        """Fresh memory that holds no frame yet. OSError where there is none to be had."""
        descriptor = os.memfd_create("korsal-edge-camera")
        try:
            os.ftruncate(descriptor, _HEADER_BYTES)
            shared = cls(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        _STATE.pack_into(shared._memory, 0, 0, -1, 0)
        return shared

    @property
    def written(self) -> int:
        """Number of frames written so far."""
        return int(_STATE.unpack_from(self._memory)[0])

    def write(self, image: NDArray[np.uint8], unix_time: float, monotonic_time: float, fingerprint: int) -> None:
        """Make `image`, (H, W, 3) uint8, the newest frame. Waits while the reader copies the one before."""
        if fingerprint != self._fingerprint:
            self._fingerprint, self._unchanged_since = fingerprint, monotonic_time
        written, newest, capacity = _STATE.unpack_from(self._memory)
        if image.nbytes > capacity:
            newest, capacity = self._grow(image.nbytes)
        slot = 1 - max(newest, 0)
        height, width = image.shape[:2]
        pixels = np.frombuffer(self._memory, np.uint8, image.nbytes, _HEADER_BYTES + slot * capacity)
        pixels.reshape(image.shape)[...] = image
        meta = (written + 1, unix_time, monotonic_time, self._unchanged_since, fingerprint, height, width)
        _SLOT.pack_into(self._memory, _slot_offset(slot), *meta)
        with self._locked():
            _STATE.pack_into(self._memory, 0, written + 1, slot, capacity)

    def newest(self, after: int) -> SharedFrame | None:
        """The newest frame if its number is above `after`; None where there is none, or the writer is at it.

        OSError where memory that has grown cannot be reached.
        """
        if self.written <= after:
            return None  # without the lock, so that a busy reader never starves the writer
        try:
            with self._locked(fcntl.LOCK_NB):
                if os.fstat(self.descriptor).st_size == len(self._memory):
                    return self._copy()
        except BlockingIOError:
            return None
        self._map_anew()
        return self.newest(after)

    def close(self) -> None:
        """Give the memory up; the pictures read from it stay."""
        self._memory.close()
        os.close(self.descriptor)

    def _copy(self) -> SharedFrame | None:
        _, newest, capacity = _STATE.unpack_from(self._memory)
        if newest < 0:
            return None
        if newest > 1:
            raise OSError(errno.EBADMSG, "its memory is garbled")
        number, *facts, height, width = _SLOT.unpack_from(self._memory, _slot_offset(newest))
        if height * width * 3 > len(self._memory) - _HEADER_BYTES - newest * capacity:
            raise OSError(errno.EBADMSG, "its memory is garbled")
        pixels = np.frombuffer(self._memory, np.uint8, height * width * 3, _HEADER_BYTES + newest * capacity)
        unix_time, monotonic_time, unchanged_since, fingerprint = facts
        image = pixels.reshape(height, width, 3).copy()
        return SharedFrame(number, unix_time, monotonic_time, unchanged_since, fingerprint, image)

    def _grow(self, capacity: int) -> tuple[int, int]:
        """Make both slots larger; what they held is forgotten. Returns the newest slot, none, and the capacity."""
        written = self.written
        with self._locked():
            os.ftruncate(self.descriptor, _HEADER_BYTES + 2 * capacity)
            _STATE.pack_into(self._memory, 0, written, -1, capacity)
        self._map_anew()
        return -1, capacity

    def _map_anew(self) -> None:
        """Follow the memory to its new size. Never under the lock: closing a map closes a descriptor and so unlocks."""
        grown = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        self._memory.close()
        self._memory = grown

    @contextmanager
    def _locked(self, flags: int = 0) -> Iterator[None]:
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX | flags)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)


def _slot_offset(slot: int) -> int:
    return _STATE.size + slot * _SLOT.size
