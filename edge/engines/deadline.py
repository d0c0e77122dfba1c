"""Runs work that may never end, and gives it up after a time limit. Shell: a thread."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from edge import threads

T = TypeVar("T")
STOP_SECONDS = 5.0  # for the work to end after `stop`


class DeadlineError(Exception):
    """The work took too long."""


def within(seconds: float, work: Callable[[], T], stop: Callable[[], object]) -> T:
    """Return what `work`, run in a thread of its own, returns. Raises what it raises, DeadlineError, ThreadError.

    After `seconds`, `stop` is called; a thread that continues nevertheless is left to end with this process.
    """
    future: Future[T] = Future()
    thread = threads.start("deadline", _fulfil, future, work)
    try:
        return future.result(seconds)
    except FutureTimeout:
        if future.done():  # just now, or that was its own TimeoutError
            return future.result()
        stop()
        thread.join(STOP_SECONDS)
        raise DeadlineError(f"not done in {seconds:g} s") from None


def _fulfil(future: "Future[T]", work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again by Future.result
        future.set_exception(error)
