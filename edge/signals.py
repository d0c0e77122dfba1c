"""SIGTERM, SIGINT and SIGHUP only leave a mark; what runs looks at it where it can end well. Shell.

An exception in the midst of anything would also come in the midst of TensorRT's C++, which ends the process at once.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

STOP = (signal.SIGTERM, signal.SIGINT)

Tell = Callable[..., None]  # as edge.service.systemd.notify


class StopError(Exception):
    """Somebody asked us to end, amid something that takes long."""


class Signals:
    """What was asked for by signals while this context manager is open: `stop`, `reload`.

    In another thread than the main one signals are not ours: nothing is marked there.
    """

    def __init__(self, reloads: bool = False) -> None:
        """`reloads`: SIGHUP leaves a mark too."""
        self.stop = self.reload = False
        self._ours = (*STOP, signal.SIGHUP) if reloads else STOP
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._mark) for number in self._ours}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def until_stopped(self, tell: Tell) -> Tell:
        """`tell`, which raises StopError instead once somebody has asked us to end. Without a word it only looks."""

        def told(*states: str) -> None:
            if self.stop:
                raise StopError("asked to end")
            if states:
                tell(*states)

        return told

    def _mark(self, number: int, frame: FrameType | None) -> None:
        if number in STOP:
            self.stop = True
        else:
            self.reload = True
