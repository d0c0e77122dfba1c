"""TensorRT's messages go to our log; its errors are kept for the messages of our exceptions. Shell."""

import logging
from collections import deque
from typing import Any

log = logging.getLogger(__name__)

KEPT = 8  # errors
LONGEST = 300  # characters of one in a message


class TensorRtLog:
    """`sink` is handed to TensorRT, which returns None or False where it fails and reports the reason only there."""

    def __init__(self, trt: Any) -> None:
        """`trt`: the module tensorrt."""
        self._errors: deque[str] = deque(maxlen=KEPT)
        self.sink = _sink(trt, self._errors)

    @property
    def first_error(self) -> str:
        """The first error since `clear`, which caused the others, in brackets; "" where there was none."""
        return f" (TensorRT: {self._errors[0].strip()[:LONGEST]})" if self._errors else ""

    def clear(self) -> None:
        """Forget the errors."""
        self._errors.clear()


def _sink(trt: Any, errors: deque[str]) -> Any:
    """TensorRT calls it from its own threads; it must not raise."""
    serious = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)

    class Sink(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in serious:
                errors.append(msg)
            log.log(logging.WARNING if severity == trt.ILogger.WARNING else logging.DEBUG, "%s", msg)

    return Sink()
