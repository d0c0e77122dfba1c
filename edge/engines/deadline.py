"""Work that may never end, given up after a while. Shell: a thread."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from edge import threads

T = TypeVar("T")
STOP_SECONDS = 5.0  # that the work is given to end once it was asked to


class DeadlineError(Exception):
    """The work took too long."""


def within(seconds: float, work: Callable[[], T], stop: Callable[[], object]) -> T:
    """What `work` returns or raises, in a thread of its own; DeadlineError where it takes longer than `seconds`,
    ThreadError where there is none to be had.

    It is asked to end by `stop` then. Where it does not, its thread is left behind and ends with this process.
    """
    future: Future[T] = Future()
    thread = threads.start("deadline", _fulfil, future, work)
    try:
        return future.result(seconds)
    except FutureTimeout:
        if future.done():  # at the last moment, or that was its own TimeoutError
            return future.result()
        stop()
        thread.join(STOP_SECONDS)
        raise DeadlineError(f"not done in {seconds:g} s") from None


def _fulfil(future: "Future[T]", work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the result
        future.set_exception(error)
