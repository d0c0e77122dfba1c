"""Retained messages: what waits to be sent, and what is sent again on a new connection.

Time comes in with the calls.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.broker.capabilities import REPEAT_SECONDS
from edge.broker.parcel import Parcel
from edge.broker.topics import ONLINE

PICTURES = "pictures"  # a kind of parcel


@dataclass(frozen=True)
class Kept:
    """A retained message: sent as soon as there is a connection, and if it `lasts` again at every new one."""

    parcel: Parcel
    lasts: bool


class Retained:
    """The newest retained message of each topic, in the order of their sending. For one thread."""

    def __init__(self, available: str) -> None:
        """`available`: the topic at which every connection begins with `online`."""
        self._online = Parcel(available, ONLINE, 1, retain=True)
        self._lasting: dict[str, Parcel] = {}  # by topic
        self._due: dict[str, Parcel] = {}  # by topic; on their way
        self._pictures: dict[str, Parcel] = {}  # by topic; sent, and not known to have been taken
        self._told_at = 0.0  # monotonic, when all that lasts was told last

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._due)

    def keep(self, message: Kept) -> None:
        """The newest of a topic takes the place of the others."""
        parcel = message.parcel
        if message.lasts:
            self._lasting[parcel.topic] = parcel
        self._due.pop(parcel.topic, None)
        self._due[parcel.topic] = parcel

    def first(self) -> Parcel:
        """What is to be sent next, where something waits."""
        return next(iter(self._due.values()))

    def take(self) -> Parcel:
        """The first, which waits no more."""
        return self._due.pop(next(iter(self._due)))

    def connected(self, now: float) -> None:
        """A connection has begun: all that lasts is told, then what still waits; `now`: monotonic, s."""
        once = {topic: parcel for topic, parcel in self._due.items() if topic not in self._lasting}
        self._due = {self._online.topic: self._online, **self._lasting, **once}
        self._told_at = now

    def hung_up(self) -> None:
        """The connection is gone: pictures that may not have been taken are sent again."""
        self._due = {**self._pictures, **self._due}
        self._pictures.clear()

    def tell_again(self, now: float) -> None:
        """Now and then, for a broker that keeps nothing, so that who comes later learns of it soon."""
        if now - self._told_at >= REPEAT_SECONDS:
            self._told_at = now
            self._due = {self._online.topic: self._online, **self._lasting, **self._due}

    def sent(self, parcel: Parcel) -> None:
        """Remember a picture, which nobody acknowledges, until `taken`."""
        if parcel.kind == PICTURES:
            self._pictures[parcel.topic] = parcel

    def taken(self, topics: Iterable[str]) -> None:
        """These have reached the broker."""
        for topic in topics:
            self._pictures.pop(topic, None)

    def drop(self, topic: str) -> None:
        """The broker will never take this one."""
        self._lasting.pop(topic, None)
        self._due.pop(topic, None)
