"""What the broker lets us publish, as far as it has shown it, and what may be sent therefore. Pure.

A refusal is about the topic, which is then held for a while, or about the message, which is dropped, and the next one
follows; but where a topic brings nothing but refusals of that kind it is held as well, so that a broker that refuses
everything does not empty the outbox.

Several messages are in flight at once. Where a broker refuses the first step of an event and takes the second, because
its rights were changed between the two, the first comes too late when it is offered again. So a topic gets one message
at a time until one has been taken: at the beginning of a connection, and after each refusal. What is left is a broker
that takes, refuses and takes again within one window, as one may that counts (MQTT's "Quota exceeded").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """A message that may be sent: `edge.broker.outbox.Row` has these."""

    @property
    def id(self) -> int:
        """Grows in the order in which messages are to arrive."""

    @property
    def topic(self) -> str:
        """Where it goes."""


Row = TypeVar("Row", bound=Waiting)

MANY_DROPPED = 16  # messages of one topic in a row


@dataclass(frozen=True)
class Rights:
    """`proven`: topics taken since the connection began; `held`: those refused, and until when (monotonic, s).

    No topic is in both. `dropped`: how many messages of a topic in a row were refused for what they are.
    """

    proven: frozenset[str] = frozenset()
    held: Mapping[str, float] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


def taken(rights: Rights, topic: str) -> Rights:
    """After the broker has taken a message."""
    if topic in rights.proven and topic not in rights.dropped:
        return rights
    held = {other: until for other, until in rights.held.items() if other != topic}
    dropped = {other: count for other, count in rights.dropped.items() if other != topic}
    return Rights(rights.proven | {topic}, held, dropped)


def refused(rights: Rights, topic: str, until: float) -> Rights:
    """After the broker has refused a message, which is offered again at `until`."""
    return replace(rights, proven=rights.proven - {topic}, held={**rights.held, topic: until})


def dropped(rights: Rights, topic: str, until: float) -> Rights:
    """After the broker has refused a message for what it is; many in a row hold the topic until `until`."""
    count = rights.dropped.get(topic, 0) + 1
    after = replace(rights, dropped={**rights.dropped, topic: count})
    return refused(after, topic, until) if count >= MANY_DROPPED else after


def hung_up(rights: Rights) -> Rights:
    """After the end of a connection: the next may begin with other rights."""
    return replace(rights, proven=frozenset())


def held(rights: Rights, now: float) -> list[str]:
    """Topics to which nothing is sent at `now`."""
    return [topic for topic, until in rights.held.items() if until > now]


def sendable(rights: Rights, waiting: Iterable[Row], in_flight: Mapping[int, str]) -> list[Row]:
    """Which of these may be sent now. `waiting`: the oldest first; `in_flight`: topics by the ids of their messages."""
    asked = set(in_flight.values()) - rights.proven
    chosen = []
    for row in waiting:
        if row.id in in_flight or row.topic in asked:
            continue
        if row.topic not in rights.proven:
            asked.add(row.topic)
        chosen.append(row)
    return chosen
