"""Shell. Pickles that hold arrays and plain values, read without executing anything they may carry.

Arrays are made here, of bytes whose number was compared with their shape; NumPy is never handed a pickle's own word.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.safe_reading import bounded_file
from train.safe_reading.pickle_allowlist import PickleAllowlist, PickleError, Unfinished, printable
from train.safe_reading.pickle_interpreter import execute

MAX_DIMENSIONS = 32
MAX_EMPTY_SIDE = 4096  # a side of an array that holds nothing

# what is raised while a damaged or foreign content is taken apart
BROKEN = (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError)


def load(path: Path) -> Any:
    """The content of a pickle of Python 2 or 3, arrays of objects as lists. Raises OSError, or one of BROKEN."""
    return loads(bounded_file.read(path))


def loads(content: bytes) -> Any:
    """The same of a pickle in memory. Raises PickleError."""
    return execute(BytesIO(content), ALLOWLIST)


def _dtype(code: Any, *_: object) -> Unfinished:
    """The type of an array: made by NumPy of a code that is plain, for its bytes are believed later."""
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise PickleError(f"it has arrays of {printable(str(code))[:20]!r}, which annotations and boxes never need")
    plain = np.dtype("O") if code.startswith("O") else np.dtype(code)

    def finish(state: Any) -> np.dtype[Any]:
        _, order, subdtype, names, fields = state[:5]
        if (subdtype, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise PickleError("it has arrays of records, which annotations and boxes never need")
        ordered: np.dtype[Any] = plain.newbyteorder(order)
        return ordered

    return Unfinished(finish)


def _array(*_: object) -> Unfinished:
    def finish(state: Any) -> Any:
        _, shape, dtype, fortran, content = state
        return _filled(content, dtype, shape, "F" if fortran else "C")

    return Unfinished(finish)


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    return _filled(content, dtype, shape, order)


def _scalar(dtype: Any, content: Any) -> Any:
    """A number or text of Python's own."""
    value = _filled(content, dtype, (), "C")
    return value.item() if isinstance(value, np.ndarray) else value


def _filled(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """An array of this content, native; of objects: lists in lists. PickleError where anything does not fit."""
    if not isinstance(dtype, np.dtype) or type(shape) is not tuple or order not in ("C", "F"):
        raise PickleError("it has an array without a type or shape")
    if len(shape) > MAX_DIMENSIONS or not all(type(side) is int and side >= 0 for side in shape):
        raise PickleError("it has an array of a shape that is none")
    count = math.prod(shape)
    if not count and max(shape) > MAX_EMPTY_SIDE:
        raise PickleError("it has an array of a shape that is none")
    if dtype.kind == "O":
        return _nested(content, count, shape, order)
    filling = content.encode("latin1") if type(content) is str else content
    if type(filling) is not bytes or len(filling) != count * dtype.itemsize:
        raise PickleError("it has an array with another number of values than it declares")
    return _native(filling, dtype).reshape(shape, order=order)


def _native(content: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(N,) in this machine's order of bytes, with values that NumPy itself would have made."""
    if not dtype.itemsize:
        raise PickleError("it has an array of texts without length")
    if dtype.kind == "b":
        return np.not_equal(np.frombuffer(content, np.uint8), 0)
    values: NDArray[Any] = np.frombuffer(content, dtype)
    if dtype.kind == "U" and len(content):
        letters = np.frombuffer(content, np.dtype("u4").newbyteorder(dtype.byteorder))
        if letters.max() > sys.maxunicode or ((letters >= 0xD800) & (letters < 0xE000)).any():
            raise PickleError("it has a text of what are no characters")
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def _nested(items: Any, count: int, shape: tuple[int, ...], order: str) -> Any:
    if type(items) is not list or len(items) != count:
        raise PickleError("it has an array with another number of values than it declares")
    if len(shape) > 1 and order == "F":
        raise PickleError("it has objects in an order that annotations and boxes never need")
    if not shape:
        return items[0]
    for side in shape[:0:-1]:
        items = [items[first : first + side] for first in range(0, len(items), side)] if side else [[]] * shape[0]
    return items


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise PickleError("it has bytes that are not written as latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


_CODE = re.compile(r"[<>|=]?(?:\?|b1|[iu][1248]|f[248]|c(?:8|16)|[SU]\d{1,6}|O[48]?)")

# numpy 2 moved some of them
_CORES = ("numpy.core", "numpy._core")
NAMES: Mapping[tuple[str, str], Callable[..., Any] | None] = {
    ("numpy", "ndarray"): None,  # the argument of `_reconstruct`
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,  # Python 3 writes empty ones so for Python 2
    **{(f"{core}.multiarray", "_reconstruct"): _array for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in _CORES},
}


def _array_bytes(array: NDArray[Any]) -> int:
    return array.nbytes


# a type or a name takes no memory of its own; one that is left over in the content is refused where it is weighed
ALLOWLIST = PickleAllowlist(NAMES, "annotations and boxes", {np.ndarray: _array_bytes})
