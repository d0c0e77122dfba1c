"""Records SIGTERM, SIGINT and SIGHUP as flags, which the program checks where it can stop cleanly. Shell.

An exception raised from a signal handler could also surface inside TensorRT's C++, which ends the process at once.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STOP = (signal.SIGTERM, signal.SIGINT)


class StopError(Exception):
    """A signal asked this process to end during something that takes long."""


class Signals:
    """What signals have requested while this context manager is open: `stop_requested`, `reload_requested`.

    Outside the main thread, where Python handles no signals, nothing is recorded.
    """

    def __init__(self, reloads: bool = False) -> None:
        """`reloads`: record SIGHUP too."""
        self.stop_requested = self.reload_requested = False
        self._handled = (*STOP, signal.SIGHUP) if reloads else STOP
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._record) for number in self._handled}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_stopped(self) -> None:
        """Raise StopError once a signal has asked this process to end; for the steps of what takes long."""
        if self.stop_requested:
            raise StopError("asked to end")

    def _record(self, number: int, frame: FrameType | None) -> None:
        if number in STOP:
            self.stop_requested = True
        else:
            self.reload_requested = True
