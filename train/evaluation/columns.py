"""Shell. NPZ files of columns, in which detections and tubes are saved; never unpickled."""

import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.files import replacing

MAX_RATIO = 64  # of the columns' size to the file's; detections have up to 5
ALWAYS_ALLOWED = 64 << 20  # bytes of columns, whatever the file's size
Columns = Mapping[str, NDArray[Any]]

# what a damaged or foreign file raises while it is read
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    RuntimeError,
    UnicodeError,
    SyntaxError,
)


class ColumnError(Exception):
    """A file of columns that cannot be read or written; the message names the file and the remedy."""


def read(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The named columns; of `optional` those that are there. Columns not asked for are never read."""
    try:
        # opened here, so that it is closed even where numpy cannot read it
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = [name for name in names if name not in members]
            if missing:
                raise ColumnError(f"{path}: has no column {', '.join(missing)}; see docs/evaluation.md for its format")
            chosen = [name for name in (*names, *optional) if name in members]
            _require_plain([archive.getinfo(f"{name}.npy") for name in chosen], path.stat().st_size)
            return {name: _column(archive, name) for name in chosen}
    except OSError as error:
        raise ColumnError(f"{path}: cannot be read ({error.strerror or error}); give an .npz file") from error
    except _BROKEN as error:
        reason = str(error).strip("'\"") or type(error).__name__
        raise ColumnError(f"{path}: not a valid .npz file ({reason}); write it again") from error


def write(path: Path, columns: Columns) -> None:
    """Write all columns, compressed, atomically. Raises ColumnError, which names where they were saved instead."""
    try:
        _write(path, columns)
    except OSError as error:
        raise ColumnError(f"{path}: cannot be written ({error.strerror}); {_kept(path.name, columns)}") from error


def _kept(name: str, columns: Columns) -> str:
    """The remedy: hours may have gone into the columns, so they are saved where the system has room."""
    try:
        elsewhere = Path(tempfile.mkdtemp(prefix="korsal-edge-")) / name
        _write(elsewhere, columns)
    except OSError:
        return "choose another path"
    return f"saved as {elsewhere} instead, move it from there"


def _write(path: Path, columns: Columns) -> None:
    with (
        replacing(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name, values in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)


def _require_plain(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """ValueError for entries that unpack to far more than the file's size, or are not compressed as NumPy does.

    An LZMA stream itself decides how much memory it takes.
    """
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise ValueError("it is not compressed as NumPy does")
    if sum(entry.file_size for entry in entries) > ALWAYS_ALLOWED + MAX_RATIO * size:
        raise ValueError(f"its columns are more than {MAX_RATIO} times as large as the file")


def _column(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    size = archive.getinfo(f"{name}.npy").file_size
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"column {name} is of NPY version {version}")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = header(member)
        if kind.hasobject:
            raise ValueError(f"column {name} holds Python objects, which are never unpickled")
        # a header may claim more than the file holds: no memory is allocated for it
        if int(np.prod(shape, dtype=object)) * kind.itemsize > size:
            raise ValueError(f"column {name} is cut short")
    with archive.open(f"{name}.npy") as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))


def faults(columns: Columns, whole: Sequence[str], real: Sequence[str], rows: str) -> list[str]:
    """What is wrong with columns of numbers (N,), N as in column `rows`; those named `whole` hold no fractions."""
    found = []
    count = len(columns[rows]) if columns[rows].ndim == 1 else -1
    for name in (*whole, *real):
        values = columns[name]
        if values.ndim != 1 or len(values) != count:
            found.append(f"column {name} is of shape {values.shape}, {rows} of {columns[rows].shape}")
        elif values.dtype.kind not in ("iu" if name in whole else "iuf"):
            found.append(f"column {name} holds {values.dtype}, not numbers" + (" without fractions" * (name in whole)))
        elif not np.isfinite(values).all():
            found.append(f"column {name} holds a number that is not finite")
    return found
