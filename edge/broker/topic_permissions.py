"""What the broker lets us publish, as far as is known, and what may therefore be sent. Pure.

A refusal is about the topic, which is then held for a while, or about the message, which is dropped so that the next
one can follow. A topic that brings nothing but refusals of the second kind is held as well, so that a broker that
refuses everything does not empty the outbox.

Several messages are in flight at once. If a broker refused the first step of an event and accepted the second, because
its access rules were changed between the two, the first would arrive late when it is offered again. So a topic gets one
message at a time until one has been accepted: at the beginning of a connection, and after each refusal. What is left is
a broker that accepts, refuses and accepts again within one window, as one that enforces a quota may (MQTT's "Quota
exceeded").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar


class Sendable(Protocol):
    """A message that may be sent; `edge.broker.message.StoredMessage` is one."""

    @property
    def id(self) -> int:
        """Grows in the order in which messages are to arrive."""

    @property
    def topic(self) -> str:
        """Where it goes."""


SendableT = TypeVar("SendableT", bound=Sendable)

MAX_REJECTED = 16  # messages of one topic in a row


@dataclass(frozen=True)
class TopicPermissions:
    """`allowed`: topics accepted since the connection began; `held_until`: those refused (monotonic, s).

    No topic is in both. `rejected`: how many messages of a topic in a row were refused for what they are.
    """

    allowed: frozenset[str] = frozenset()
    held_until: Mapping[str, float] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


def after_accepted(permissions: TopicPermissions, topic: str) -> TopicPermissions:
    """After the broker has accepted a message."""
    if topic in permissions.allowed and topic not in permissions.rejected:
        return permissions
    held = {other: until for other, until in permissions.held_until.items() if other != topic}
    rejected = {other: count for other, count in permissions.rejected.items() if other != topic}
    return TopicPermissions(permissions.allowed | {topic}, held, rejected)


def after_refused(permissions: TopicPermissions, topic: str, until: float) -> TopicPermissions:
    """After the broker has refused a topic, which is tried again at `until`."""
    held = {**permissions.held_until, topic: until}
    return replace(permissions, allowed=permissions.allowed - {topic}, held_until=held)


def after_rejected(permissions: TopicPermissions, topic: str, until: float) -> TopicPermissions:
    """After the broker has refused a message for what it is; many in a row hold the topic until `until`."""
    count = permissions.rejected.get(topic, 0) + 1
    after = replace(permissions, rejected={**permissions.rejected, topic: count})
    return after_refused(after, topic, until) if count >= MAX_REJECTED else after


def after_disconnected(permissions: TopicPermissions) -> TopicPermissions:
    """After the end of a connection: the next may begin with other permissions."""
    return replace(permissions, allowed=frozenset())


def held_topics(permissions: TopicPermissions, now: float) -> list[str]:
    """Topics to which nothing is sent at `now`."""
    return [topic for topic, until in permissions.held_until.items() if until > now]


def sendable(
    permissions: TopicPermissions, waiting: Iterable[SendableT], in_flight: Mapping[int, str]
) -> list[SendableT]:
    """Which of these may be sent now. `waiting`: the oldest first; `in_flight`: topics by the ids of their messages."""
    tried = set(in_flight.values()) - permissions.allowed
    chosen = []
    for message in waiting:
        if message.id in in_flight or message.topic in tried:
            continue
        if message.topic not in permissions.allowed:
            tried.add(message.topic)
        chosen.append(message)
    return chosen
