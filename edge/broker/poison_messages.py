"""Finds the message at which a broker disconnects, as brokers of MQTT 3.1.1 do where one is too large. Pure.

Such a broker gives no reason: the connection ends, the message is sent again on the next one, and so on. So what was
unacknowledged when the broker disconnected is sent alone from then on. If the broker disconnects again and again with
that one message unacknowledged, it is the poison message: it is dropped, and if it was larger than all that was
accepted on that connection, others as large are not tried for a while. A connection that breaks for another reason
meets another message the next time; and a broker that disconnects at a message accepts the next connection at once, so
one that cannot be reached in between clears all suspects.

Acknowledgements come in the order of sending, so each also covers what was sent before it with QoS 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

EVENT_STRIKES, OTHER_STRIKES = 3, 2  # disconnects with one message unacknowledged, until it counts as the cause
UNPROVEN_FACTOR = 3  # more strikes where nothing was accepted: such a connection may have broken for any reason
CONFIRMATIONS_NEEDED = 3  # poison messages above the same limit, until events above it are dropped untried
FORGET_SECONDS = 3600.0  # until what was learnt is tried again: the broker may have been fixed
MAX_REMEMBERED = 200  # messages

Value = TypeVar("Value")


@dataclass(frozen=True)
class SentMessage:
    """A message that was sent. `row`: its id in the outbox, 0 for what is no event; `size`: bytes."""

    packet_id: int
    topic: str
    row: int
    size: int

    @property
    def key(self) -> str:
        """Identifies the message across connections."""
        return f"row {self.row}" if self.row else self.topic


@dataclass(frozen=True)
class PoisonSearch:
    """What is known of the broker's limits. Limit and blocked topics hold until a monotonic time, s.

    `sent`: since the last acknowledgement, in that order; `accepted_size`: bytes of the largest message accepted on
    this connection. `suspects`: keys of messages that are sent alone, and how often the broker disconnected at each;
    `size_limit`: bytes of the largest message that it seems to accept, None where it accepts all; `proven_size`: of the
    largest that it has accepted since; `confirmations`: poison messages that confirm the limit; `blocked_topics`: at
    which it disconnects whatever the size.
    """

    sent: tuple[SentMessage, ...] = ()
    accepted_size: int = 0
    suspects: Mapping[str, int] = field(default_factory=dict)
    size_limit: int | None = None
    limit_until: float = 0.0
    proven_size: int = 0
    confirmations: int = 0
    blocked_topics: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_no_suspects(self) -> bool:
        """Whether no message has to be sent alone."""
        return not self.suspects and self.size_limit is None


@dataclass(frozen=True)
class PoisonMessage:
    """The message at which the broker disconnects.

    `accepted_size`: bytes of the largest that it accepted, None where that was no smaller.
    """

    message: SentMessage
    accepted_size: int | None


def record_sent(search: PoisonSearch, message: SentMessage) -> PoisonSearch:
    """After a message has been sent."""
    others = (other for other in search.sent if other.key != message.key)
    return replace(search, sent=(*others, message)[-MAX_REMEMBERED:])


def acknowledged(search: PoisonSearch, packet_id: int) -> tuple[PoisonSearch, frozenset[str]]:
    """After an acknowledgement; the keys of all messages that it covers."""
    place = next((place for place, one in enumerate(search.sent, 1) if one.packet_id == packet_id), 0)
    answered, left = search.sent[:place], search.sent[place:]
    if not answered:
        return search, frozenset()
    keys = frozenset(one.key for one in answered)
    accepted_size = max(search.accepted_size, *(one.size for one in answered))
    suspects = {key: count for key, count in search.suspects.items() if key not in keys}
    after = replace(
        search,
        sent=left,
        accepted_size=accepted_size,
        suspects=suspects,
        proven_size=max(search.proven_size, accepted_size),
    )
    if after.size_limit is not None and accepted_size > after.size_limit:
        after = replace(after, size_limit=None, confirmations=0)
    return after, keys


def needs_isolation(search: PoisonSearch, message: SentMessage) -> bool:
    """Whether nothing else may be unacknowledged while this message is."""
    return message.key in search.suspects or _may_exceed_limit(search, message.size)


def may_send(search: PoisonSearch, message: SentMessage, in_flight: bool) -> bool:
    """Whether a message may be sent now; `in_flight`: whether others are unacknowledged."""
    alone = any(needs_isolation(search, one) for one in (message, *search.sent))
    return not (in_flight and alone)


def will_be_refused(search: PoisonSearch, message: SentMessage, now: float) -> bool:
    """Whether the broker would disconnect at this message, so that it is not tried. `now`: monotonic, s."""
    above = search.size_limit is not None and message.size > search.size_limit and now < search.limit_until
    if message.row:
        return above and search.confirmations >= CONFIRMATIONS_NEEDED
    return above or search.blocked_topics.get(message.topic, 0.0) > now


def disconnected(search: PoisonSearch, strikes: int, now: float) -> tuple[PoisonSearch, PoisonMessage | None]:
    """After the end of a connection, or a failed attempt to connect; the poison message, once it is known.

    `strikes`: how strongly the end speaks against a message that alone was unacknowledged; 0 where the network, the
    broker's absence or we ourselves were the cause, which clears the suspects of earlier strikes.
    """
    sent = search.sent
    before = replace(search, sent=(), accepted_size=0)
    if not strikes:
        return replace(before, suspects=dict.fromkeys(search.suspects, 0)), None
    if not sent:
        return before, None
    if len(sent) > 1:
        return replace(before, suspects=_newest({**{one.key: 0 for one in sent}, **search.suspects})), None
    only = sent[0]
    count = search.suspects.get(only.key, 0) + strikes
    needed = EVENT_STRIKES if only.row else OTHER_STRIKES
    if not search.accepted_size:
        needed *= UNPROVEN_FACTOR
    if _may_exceed_limit(search, only.size):
        needed = 1
    if count < needed:
        return replace(before, suspects=_newest({**search.suspects, only.key: count})), None
    return _found_poison(before, only, search.accepted_size, now)


def _found_poison(
    search: PoisonSearch, only: SentMessage, accepted_size: int, now: float
) -> tuple[PoisonSearch, PoisonMessage]:
    suspects = {key: count for key, count in search.suspects.items() if key != only.key}
    until = now + FORGET_SECONDS
    if only.size <= accepted_size:
        blocked_topics = search.blocked_topics if only.row else _newest({**search.blocked_topics, only.key: until})
        return replace(search, suspects=suspects, blocked_topics=blocked_topics), PoisonMessage(only, None)
    size_limit = only.size - 1 if search.size_limit is None else min(search.size_limit, only.size - 1)
    proven_size = accepted_size if search.size_limit is None else search.proven_size
    confirmations = search.confirmations + 1
    after = replace(
        search,
        suspects=suspects,
        size_limit=size_limit,
        limit_until=until,
        proven_size=proven_size,
        confirmations=confirmations,
    )
    return after, PoisonMessage(only, accepted_size)


def _may_exceed_limit(search: PoisonSearch, size: int) -> bool:
    """Whether a message is so large that the true limit may be lower than the one learnt."""
    return search.size_limit is not None and size > max(search.size_limit // 2, search.proven_size)


def _newest(known: Mapping[str, Value]) -> dict[str, Value]:
    return dict(list(known.items())[-MAX_REMEMBERED:])
