"""MATLAB files, read by SciPy in a process of its own, which some damaged ones end. Shell."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Read = Callable[[Path, Sequence[str]], Mapping[str, Any]]


class MatError(Exception):
    """What is wrong with a file that is not sound."""


@contextmanager
def reader() -> Iterator[Read]:
    """`read(path, names)`: the variables of these names, as `scipy.io.loadmat` gives them. Needs scipy.

    `read` raises MatError and OSError; where the process ended, it is of no more use.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take over threads and locks
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs,))
    process.start()
    theirs.close()
    try:
        try:
            ours.recv()
        except EOFError:
            raise RuntimeError("the process that reads MATLAB files did not start; it said above why") from None
        yield partial(_ask, ours)
    finally:
        process.kill()
        process.join()
        ours.close()


def _ask(reading: Connection, path: Path, names: Sequence[str]) -> Mapping[str, Any]:
    reading.send((path, names))
    try:
        answer: dict[str, Any] | Exception = reading.recv()
    except (EOFError, ConnectionError):
        raise MatError("so damaged that SciPy's reader ended") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _answer(asked: Connection) -> None:
    """Runs in the process of its own, until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl+C reaches it too, but the other side ends it
    asked.send(None)
    while True:
        try:
            path, names = asked.recv()
        except EOFError:
            return
        try:
            asked.send(_read(path, names))
        except (ImportError, MatError, OSError) as error:
            asked.send(error)


def _read(path: Path, names: Sequence[str]) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        with path.open("rb") as file:
            content = loadmat(file, variable_names=names)
        return {name: content[name] for name in names}
    except Exception as error:  # SciPy has many for damaged files: ZeroDivisionError, NameError, zlib.error
        if isinstance(error, OSError) and error.errno:
            raise  # the system's, not SciPy's
        raise MatError(f"{type(error).__name__}: {error}") from None
