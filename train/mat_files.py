"""MATLAB files, read by SciPy in a process of its own, which some damaged ones end. Shell."""

import functools
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any


class MatError(Exception):
    """What is wrong with a file that is not sound."""


def read(path: Path, names: Sequence[str]) -> Mapping[str, Any]:
    """The variables of these names, as `scipy.io.loadmat` gives them. Raises MatError, OSError. Needs scipy."""
    try:
        return _reader().submit(_read, path, names).result()
    except BrokenProcessPool:
        _reader.cache_clear()
        raise MatError("so damaged that SciPy's reader ended") from None


@functools.cache
def _reader() -> ProcessPoolExecutor:
    """One process, which lives as long as this one; a fork would take over threads and locks."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _read(path: Path, names: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=names)
        return {name: content[name] for name in names}
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  SciPy has many for damaged files: ZeroDivisionError, NameError, zlib.error
        raise MatError(f"{type(error).__name__}: {error}") from None
