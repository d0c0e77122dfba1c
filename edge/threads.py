"""Starts threads, and names the remedy where the system refuses one. Shell."""

import threading
from collections.abc import Callable

NICENESS = 10  # of threads and processes that encode: detection goes first


class ThreadError(Exception):
    """No new thread can be started; the message names the remedy."""


def start(name: str, work: Callable[..., object], *arguments: object) -> threading.Thread:
    """Start a thread that does not keep the program from ending. Raises ThreadError."""
    thread = threading.Thread(target=work, name=name, args=arguments, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise refused(error) from error
    return thread


def refused(error: RuntimeError) -> ThreadError:
    """The ThreadError for Python's own error, from libraries that start threads themselves."""
    remedy = "end other programs, or raise TasksMax in the unit or the user's limit (ulimit -u)"
    return ThreadError(f"no new thread can be started ({error}): {remedy}")
