"""Shell. Pickles that hold arrays and plain values, read without executing anything they may carry."""

import _codecs
import io
import math
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


class _Dtype:
    """The type of an array as a pickle describes it. NumPy would believe it all: that pointers are plain bytes, too."""

    def __init__(self, code: str, *_: object) -> None:
        self.plain = np.dtype(code if isinstance(code, str) else "V")
        if self.plain.kind not in _KINDS or self.plain.subdtype is not None:
            raise pickle.UnpicklingError(f"it has arrays of {str(code)[:20]!r}, which annotations and boxes never need")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Only the order of bytes is taken; NumPy knows all else by the type's name."""
        _, order, subdtype, names, fields = state[:5]
        if not (subdtype is None and names is None and fields is None):
            raise pickle.UnpicklingError("it has arrays of records, which annotations and boxes never need")
        if order in ("<", ">"):
            self.plain = self.plain.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """An array that is filled from a pickle, with a type that NumPy has made itself."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, content = state
        if any(side < 0 for side in shape) or (isinstance(content, list) and len(content) != math.prod(shape)):
            raise pickle.UnpicklingError("it has an array with another number of values than it says")
        plain = dtype.plain if isinstance(dtype, _Dtype) else dtype
        super().__setstate__((version, shape, plain, fortran, content))


def _array(*_: object) -> _Array:
    empty: _Array = np.ndarray.__new__(_Array, (0,))
    return empty


def _scalar(dtype: _Dtype, content: Any) -> Any:
    return _numpy_scalar(dtype.plain, content)


def _frombuffer(buffer: Any, dtype: _Dtype, *shape_and_order: Any) -> Any:
    return _numpy_frombuffer(buffer, dtype.plain, *shape_and_order)


_numpy_scalar: Any = np.float64(0).__reduce__()[0]
_numpy_frombuffer: Any = np.zeros(1).__reduce_ex__(5)[0]
_KINDS = frozenset("biufcSUO")  # truth, numbers, texts, objects that are in the pickle themselves

# the only names that such a pickle may call, and what is called instead; numpy 2 moved some of them
_CORES = ("numpy.core", "numpy._core")
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,  # the argument of `_reconstruct`
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _codecs.encode,
    **{(f"{core}.multiarray", "_reconstruct"): _array for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in _CORES},
}


class _PlainUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain Python values, refuses every other name by name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which annotations and boxes never need")
        return _ALLOWED[module, name]
