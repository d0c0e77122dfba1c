"""How a capture process follows and ends the reading of its camera, from another thread. Shell."""

from collections.abc import Callable

Announce = Callable[[str, str], None]  # the backend that is opened now, and the one that would come next, or ""


def _ignore(backend: str, alternative: str) -> None:
    """For a reader that nobody follows."""


class ReaderControl:
    """What a reader reports to, and what it asks whether to go on.

    `announce` is called before each backend is opened, since opening may hang, and `announce_again` before the same one
    is opened once more. `stopped`: the reader is to release its camera and end. `on_stop` functions unblock it, each in
    whatever way its library has.
    """

    def __init__(self, announce: Announce = _ignore) -> None:
        self._announce = announce
        self._announced = ("", "")
        self.stopped = False
        self._on_stop: list[Callable[[], None]] = []

    def announce(self, backend: str, alternative: str) -> None:
        """Report the backend that is opened now, and the one that would come next, or ""."""
        self._announced = (backend, alternative)
        self.announce_again()

    def announce_again(self) -> None:
        """Report the same: it is opened once more, and has as long for that as the first time."""
        self._announce(*self._announced)

    def on_stop(self, unblock: Callable[[], None]) -> None:
        """Have this called by `stop`; it must not raise."""
        self._on_stop.append(unblock)

    def stop(self) -> None:
        """Let the reader end; may block for as long as a driver does."""
        self.stopped = True
        for unblock in self._on_stop:
            unblock()
