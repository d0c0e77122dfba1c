"""Retained messages: what waits to be sent, and what is sent again on a new connection.

Time comes in with the calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.broker.capabilities import REPEAT_SECONDS
from edge.broker.message import Message
from edge.broker.topics import ONLINE

WANTED_AGAIN_SECONDS = 10.0  # at least, from one repetition on demand to the next
SNAPSHOTS = "snapshots"  # a kind of message


@dataclass(frozen=True)
class RetainedMessage:
    """A retained message: sent as soon as there is a connection; if `repeated`, on every new one again."""

    message: Message
    repeated: bool


class RetainedMessages:
    """The newest retained message of each topic, in the order of sending. For one thread."""

    def __init__(self, available: str) -> None:
        """`available`: the topic on which every connection begins with `online`."""
        self._online = Message(available, ONLINE, qos=1, retain=True)
        self._repeated: dict[str, Message] = {}  # by topic
        self._due: dict[str, Message] = {}  # by topic; to be sent
        self._pictures: dict[str, Message] = {}  # by topic; sent, and not known to have been accepted
        self.wanted = False  # whether somebody asks for all repeated messages
        self._repeated_at = 0.0  # monotonic, when all repeated messages were last due

    def __bool__(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._due)

    def put(self, retained: RetainedMessage) -> None:
        """Add a message; it replaces an older one of its topic."""
        message = retained.message
        if retained.repeated:
            self._repeated[message.topic] = message
        self._due.pop(message.topic, None)
        self._due[message.topic] = message

    def peek(self) -> Message:
        """The next message to be sent, where one waits."""
        return next(iter(self._due.values()))

    def pop(self) -> Message:
        """Remove the next message and return it."""
        return self._due.pop(next(iter(self._due)))

    def connected(self, now: float) -> None:
        """A connection has begun: repeated messages are due first, then what still waits. `now`: monotonic, s."""
        once = {topic: message for topic, message in self._due.items() if topic not in self._repeated}
        self._due = {self._online.topic: self._online, **self._repeated, **once}
        self._repeated_at = now

    def disconnected(self) -> None:
        """The connection has ended: pictures that may not have been accepted are sent again."""
        self._due = {**self._pictures, **self._due}
        self._pictures.clear()

    def repeat_if_due(self, now: float) -> None:
        """Repeat now and then, or soon where that is `wanted`: subscribers may have missed what was not retained."""
        if now - self._repeated_at >= (WANTED_AGAIN_SECONDS if self.wanted else REPEAT_SECONDS):
            self.wanted = False
            self._repeated_at = now
            self._due = {self._online.topic: self._online, **self._repeated, **self._due}

    def sent(self, message: Message) -> None:
        """Remember a picture, which nobody acknowledges, until it is `accepted`."""
        if message.kind == SNAPSHOTS:
            self._pictures[message.topic] = message

    def accepted(self, topics: Iterable[str]) -> None:
        """The broker has accepted the pictures on these topics."""
        for topic in topics:
            self._pictures.pop(topic, None)

    def drop(self, topic: str) -> None:
        """The broker will never accept this one."""
        self._repeated.pop(topic, None)
        self._due.pop(topic, None)
