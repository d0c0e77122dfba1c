"""Threads, and what to say where none can be had: the unit's TasksMax, a user's limit, or memory. Shell."""

import threading
from collections.abc import Callable


class ThreadError(Exception):
    """No new thread can be had; the message names the cure."""


def start(name: str, work: Callable[..., object], *arguments: object) -> threading.Thread:
    """A thread that does this work and does not keep the program from ending. Raises ThreadError."""
    thread = threading.Thread(target=work, name=name, args=arguments, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise refused(error) from error
    return thread


def refused(error: RuntimeError) -> ThreadError:
    """Of Python's own error, for libraries that start threads themselves."""
    cure = "end other programs, or raise TasksMax in the unit or the user's limit (ulimit -u)"
    return ThreadError(f"no new thread can be had ({error}): {cure}")
