"""Which events are open, published or dropped, beyond the messages that wait."""

from collections.abc import Iterable, Sequence

from edge.broker.message import Message
from edge.broker.outbox_file import Change


class EventStates:
    """The events of an outbox, by their ids. For one thread.

    `open`: of this run, those that have not ended; `ended`: of them, those that ended while the disk refused;
    `published`: those of which a step may have reached the broker.
    """

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.ended: set[str] = set()
        self.published: set[str] = set()
        self._dropped: set[str] = set()  # open events that were dropped: their next steps are dropped as well

    def without_dropped(self, messages: Iterable[Message]) -> list[Message]:
        """The messages that are no steps of dropped events."""
        return [message for message in messages if message.event_id not in self._dropped]

    def received(self, messages: Sequence[Message], in_memory: bool) -> None:
        """Follow the steps of events. `in_memory`: whether the disk refuses."""
        ended = {message.event_id for message in messages if message.type == "end"}
        self.open |= {message.event_id for message in messages} - self._dropped
        self.open -= ended
        if in_memory:
            self.ended |= ended - self._dropped
        self._dropped -= ended

    def changed(self, change: Change) -> None:
        """Follow what an operation has removed."""
        self._dropped |= change.dropped_open
        self.open -= change.dropped_open
        self.published |= change.published
        self.published -= change.ended
