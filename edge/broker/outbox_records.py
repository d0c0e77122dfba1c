"""What goes into the outbox and comes out of it. Pure."""

from dataclasses import dataclass

from edge.broker.message import Message


@dataclass(frozen=True)
class Row:
    """A message as stored; `id` grows in the order of storing."""

    id: int
    message: Message

    @property
    def topic(self) -> str:
        """Where the message goes."""
        return self.message.topic


@dataclass(frozen=True)
class OutboxLimits:
    """The most that may wait: rows, and bytes of payload."""

    rows: int = 100_000
    size: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class OutboxStatistics:
    """What waits, and what was lost since the file was made.

    Lost are single updates, whole events, messages too old to send, messages that the broker would not take, and
    messages that the disk has damaged. `unsaved`: messages in memory alone, because the disk refuses.
    """

    rows: int = 0
    size: int = 0
    dropped_updates: int = 0
    dropped_events: int = 0
    expired: int = 0
    refused: int = 0
    in_memory: bool = False
    damaged: int = 0
    unsaved: int = 0
