"""Memory in which the daemon hands one picture at a time to the page's process. Shell over an anonymous memory file.

Who writes waits until the other has taken what was there: they tell each other so. The memory has no name, and is freed
with the last process that holds it, however that one ends.
"""

import mmap
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PictureArrays = Sequence[NDArray[np.uint8]]  # one picture's arrays, of any shape


class SharedPixels:
    """One end of it; each process makes its own of the same descriptor, which it then owns."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None

    @classmethod
    def create(cls) -> "SharedPixels":
        """New memory without anything in it. Raises OSError."""
        return cls(os.memfd_create("korsal-edge-page"))

    def write(self, pixels: PictureArrays) -> None:
        """Put these arrays there, one after the other. Raises OSError where there is no memory."""
        size = sum(one.nbytes for one in pixels)
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size)
        there, at = np.frombuffer(self._mapped(), np.uint8), 0
        for one in pixels:
            there[at : at + one.nbytes].reshape(one.shape)[...] = one
            at += one.nbytes

    def read(self) -> memoryview:
        """All that is there, which changes as soon as the other end writes. Raises OSError."""
        return memoryview(self._mapped())

    def close(self) -> None:
        """Free it; what was read stays valid."""
        self._memory = None
        os.close(self.descriptor)

    def _mapped(self) -> mmap.mmap:
        """The memory at its present size."""
        size = max(1, os.fstat(self.descriptor).st_size)
        if self._memory is None or len(self._memory) < size:
            os.truncate(self.descriptor, size)
            self._memory = mmap.mmap(self.descriptor, size)  # the former one is freed with what was read from it
        return self._memory
