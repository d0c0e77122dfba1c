"""MATLAB files, read by SciPy in a sandboxed process, because some damaged files crash it. Shell.

The process gets and returns bytes: it opens no file, and its answer is read as any untrusted pickle is.
"""

import codecs
import io
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edge import packages
from edge.text import sanitized
from train.safe_reading import array_pickle, bounded_file, sandbox

MAX_MEMORY = 2 << 30  # bytes that the reader may grow by
MAX_SECONDS = 600.0  # seconds that one file may take
_CODECS = ("ascii", "latin1", "cp1252", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")

Read = Callable[[Path, Sequence[str]], Mapping[str, Any]]


class MatError(Exception):
    """What is wrong with a file that is not sound."""


@contextmanager
def reader(memory: int = MAX_MEMORY) -> Iterator[Read]:
    """`read(path, names)`: the variables of these names: arrays, of cells lists, of structures lists of dicts.

    Lists are in the order of `ravel`. `memory`: bytes that reading may take. Needs scipy.
    `read` raises MatError and OSError; where the process ended, it is of no more use.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take over threads and locks
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, memory))
    process.start()
    theirs.close()
    try:
        try:
            without = ours.recv_bytes()
        except EOFError:
            raise RuntimeError("the process that reads MATLAB files did not start; its message is above") from None
        yield partial(_ask, ours) if without != b"scipy" else _without_scipy
    finally:
        process.kill()
        process.join()
        ours.close()


def _without_scipy(path: Path, names: Sequence[str]) -> Mapping[str, Any]:
    raise packages.missing("scipy")


def _ask(reading: Connection, path: Path, names: Sequence[str]) -> Mapping[str, Any]:
    try:
        content = bounded_file.read(path)
    except ValueError as error:
        raise MatError(str(error)) from None
    try:
        reading.send((content, names))
        if not reading.poll(MAX_SECONDS):
            reading.close()  # or its answer would be taken for that about the next file
            raise MatError(f"not read in {MAX_SECONDS:g} seconds")
        answer = array_pickle.loads(reading.recv_bytes(bounded_file.MAX_BYTES))
    except (EOFError, OSError):
        raise MatError("so damaged that SciPy's reader ended") from None
    except array_pickle.BROKEN as error:
        raise MatError(str(error)) from None
    if not isinstance(answer, dict):
        raise MatError(sanitized(answer) if isinstance(answer, str) else "no answer")
    return answer


def _answer(connection: Connection, memory: int) -> None:
    """Runs in the sandboxed process, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl+C reaches it too, but the other side ends it
    try:
        _read(_sample(), ("a",))  # what SciPy imports at its first file; afterwards it cannot
        for name in _CODECS:
            codecs.lookup(name)
    except ImportError:
        connection.send_bytes(b"scipy")
        return
    sandbox.enter(memory, (connection.fileno(), 2))
    connection.send_bytes(b"ready")
    while True:
        try:
            content, names = connection.recv()
        except EOFError:
            return
        try:
            answer: object = _read(content, names)
        except MatError as error:
            answer = str(error)
        connection.send_bytes(pickle.dumps(answer, 4))


def _sample() -> bytes:
    """A file with all kinds of values."""
    from scipy.io import savemat

    file = io.BytesIO()
    cells = np.array(["é", 1.5, np.zeros((2, 2))], dtype=object)
    savemat(file, {"a": {"b": cells, "c": "text", "d": np.arange(3, dtype=np.uint8)}}, do_compression=True)
    return file.getvalue()


def _read(content: bytes, names: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        variables = loadmat(io.BytesIO(content), variable_names=names)
        return {name: _plain(variables[name]) for name in names}
    except Exception as error:  # SciPy has many for damaged files: ZeroDivisionError, NameError, zlib.error
        if isinstance(error, ImportError):
            raise  # SciPy itself is absent
        raise MatError(f"{type(error).__name__}: {error}"[:200]) from None


def _plain(value: Any) -> Any:
    """Arrays of numbers and texts as they are, structures as lists of dicts, cells as lists."""
    if isinstance(value, str):
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(f"it holds a {type(value).__name__}")
    if value.dtype.names is not None:
        return [{name: _plain(one[name]) for name in value.dtype.names} for one in value.ravel()]
    if value.dtype.hasobject:
        return [_plain(one) for one in value.ravel()]
    return np.array(value)
