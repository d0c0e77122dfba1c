"""TensorRT's messages go to our log; its errors are kept for the messages of our exceptions. Shell."""

import logging
from collections import deque
from typing import Any

log = logging.getLogger(__name__)

KEPT = 8  # errors
KEPT_FIRST = KEPT_LAST = 150  # messages of a build; between these they are counted
LONGEST_LINE = 500  # characters of one of them
LONGEST = 300  # characters of one in a message


class TensorRtLog:
    """`sink` is handed to TensorRT, which returns None or False where it fails and reports the reason only there."""

    def __init__(self, trt: Any) -> None:
        """`trt`: the module tensorrt."""
        self._errors: deque[str] = deque(maxlen=KEPT)
        self.messages = Messages()
        self.sink = _sink(trt, self._errors, self.messages)

    @property
    def first_error(self) -> str:
        """The first error since `clear`, which caused the others, in brackets; "" where there was none."""
        return f" (TensorRT: {self._errors[0].strip()[:LONGEST]})" if self._errors else ""

    def clear(self) -> None:
        """Forget the errors."""
        self._errors.clear()


class Messages:
    """The first and the last messages of a log that may be endless."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=KEPT_LAST)
        self._count = 0

    def add(self, line: str) -> None:
        """Keep a message, in one line."""
        line = " ".join(line.split())[:LONGEST_LINE]
        self._count += 1
        (self._first if len(self._first) < KEPT_FIRST else self._last).append(line)

    def lines(self) -> list[str]:
        """What is kept, and how much is not."""
        lost = self._count - len(self._first) - len(self._last)
        return [*self._first, *([f"... {lost} more ..."] if lost else []), *self._last]


def _sink(trt: Any, errors: deque[str], messages: Messages) -> Any:
    """TensorRT calls it from its own threads; it must not raise."""
    verbose = getattr(trt.ILogger, "VERBOSE", None)
    serious = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)

    class Sink(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in serious:
                errors.append(msg)
            if severity != verbose:
                messages.add(f"{getattr(severity, 'name', severity)}: {msg}")
            log.log(logging.WARNING if severity == trt.ILogger.WARNING else logging.DEBUG, "%s", msg)

    return Sink()
