"""The newest frame of one camera in memory shared by two processes. Shell over an anonymous memory file.

One process writes, one reads, and the newest frame wins. Of two slots the writer fills the one that is not the newest
and then, holding a lock, marks it as the newest; the reader copies the newest slot holding the same lock. So no frame
is ever torn, even on processors with weak memory ordering. It is a POSIX record lock: the kernel releases it when its
holder is killed. The memory has no name, and is freed with the last process that holds it, however that one ends.
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

# Native layout: an aligned number is read and written atomically, so that `written` may be read without the lock.
_STATE = struct.Struct("@QqQ")  # frames written so far, newest slot or -1, bytes in one slot
_SLOT = struct.Struct("@QdddQII")  # the fields of `SharedFrame`, with height and width instead of the image
_HEADER_BYTES = 4096  # one page


class SharedFrame(NamedTuple):
    """A copy of the newest frame: `number` counts from 1, `image` is (H, W, 3) uint8 BGR.

    `unchanged_since` is the monotonic time of the first in an unbroken run of frames with this `fingerprint`.
    """

    number: int
    unix_time: float
    monotonic_time: float
    unchanged_since: float
    fingerprint: int
    image: NDArray[np.uint8]


class SharedFrames:
    """One end of the shared memory; each process opens its own from the same descriptor, which it then owns."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        self._fingerprint, self._unchanged_since = -1, 0.0  # of the frame written last; no fingerprint is negative

    @classmethod
    def create(cls) -> "SharedFrames":
        """New memory that holds no frame yet. Raises OSError where there is none."""
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
        """Make `image`, (H, W, 3) uint8, the newest frame. Waits while the reader is copying."""
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
        """The newest frame with a number above `after`; None where there is none, or the writer is busy with it.

        Raises OSError where memory that has grown cannot be mapped.
        """
        if self.written <= after:
            return None  # without the lock, so that a busy reader never starves the writer
        try:
            with self._locked(fcntl.LOCK_NB):
                if os.fstat(self.descriptor).st_size == len(self._memory):
                    return self._copy()
        except BlockingIOError:
            return None
        self._remap()
        return self.newest(after)

    def close(self) -> None:
        """Free the memory; frames read from it stay valid."""
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
        """Enlarge both slots, which discards their frames. Returns the newest slot (none: -1) and the capacity."""
        written = self.written
        with self._locked():
            os.ftruncate(self.descriptor, _HEADER_BYTES + 2 * capacity)
            _STATE.pack_into(self._memory, 0, written, -1, capacity)
        self._remap()
        return -1, capacity

    def _remap(self) -> None:
        """Map the memory at its new size. Never while locked: closing a map closes a descriptor, which unlocks."""
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
