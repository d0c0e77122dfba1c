"""Shell. Pickles that hold arrays and plain values, read without executing anything they may carry."""

import _codecs
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# what a damaged or foreign pickle raises while it is read, or while its content is taken apart
BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)


def load(path: Path) -> Any:
    """The content of a pickle of Python 2 or 3. Raises OSError, or one of BROKEN."""
    return _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()


# the only names that such a pickle may call; numpy 2 moved some of them
_CORES = ("numpy.core", "numpy._core")
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _codecs.encode,
    **{(f"{core}.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0] for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): np.float64(0).__reduce__()[0] for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0] for core in _CORES},
}


class _PlainUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain Python values, refuses every other name by name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which annotations and boxes never need")
        return _ALLOWED[module, name]
