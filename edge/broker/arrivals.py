"""How long events take from the camera to the broker's acknowledgement. Pure.

What is under way is remembered in memory alone: after a restart the steps that the last run left are sent, not timed.
"""

from collections import deque

from edge.broker.message import Message

UNDER_WAY = 10_000  # the newest steps that wait for their acknowledgement
KEPT = 1000  # durations

Step = tuple[str, int]  # event_id, seq


class Arrivals:
    """Fed by the thread that owns the outbox; any thread may read `seconds`."""

    def __init__(self) -> None:
        self._captured: dict[Step, float] = {}
        self._sent: dict[int, Step] = {}
        self._seconds: deque[float] = deque(maxlen=KEPT)

    def stored(self, message: Message) -> None:
        """A step has been stored."""
        if message.captured is None:
            return
        self._captured[message.event_id, message.seq] = message.captured
        if len(self._captured) > UNDER_WAY:
            del self._captured[next(iter(self._captured))]

    def sent(self, row: int, message: Message) -> None:
        """A step is on its way out of this row of the outbox, for the first time or again."""
        if (message.event_id, message.seq) in self._captured:
            self._sent[row] = message.event_id, message.seq

    def arrived(self, row: int, now: float) -> None:
        """The broker has acknowledged the row's step at the monotonic time `now`."""
        captured = self._captured.pop(self._sent.pop(row, ("", 0)), None)
        if captured is not None:
            self._seconds.append(now - captured)

    def hung_up(self) -> None:
        """The connection is gone; what was sent on it will be sent again."""
        self._sent.clear()

    @property
    def seconds(self) -> tuple[float, ...]:
        """From capture to acknowledgement, the newest thousand, in the order of arrival."""
        return tuple(self._seconds.copy())
