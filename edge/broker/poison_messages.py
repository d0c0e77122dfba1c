"""Which message makes the broker hang up, as brokers of MQTT 3.1.1 do where one is larger than they take. Pure.

Such a broker says nothing: the connection ends, the message is sent again on the next one, and so on. So whatever had
not been acknowledged when the broker hung up goes alone from then on. Where the broker hangs up again with that one
message unanswered, and again, it is the message: it is dropped, and if it was larger than all that was taken on that
connection, others as large are not tried for a while. A connection that breaks for another reason meets another message
the next time.

Acknowledgements come in the order of sending, so that each speaks for what was sent before it with QoS 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

EVENT_STRIKES, OTHER_STRIKES = 3, 2  # hang-ups with one message unanswered, until it is that message
SURE = 3  # culprits above the same limit, until events above it are dropped without a trial
FORGET_SECONDS = 3600.0  # until what was learnt is tried anew: the broker may have been mended
MOST = 200  # messages that are remembered

Value = TypeVar("Value")


@dataclass(frozen=True)
class Posted:
    """A message that was sent. `row`: its id in the outbox, 0 for what is no event; `size`: bytes."""

    number: int
    topic: str
    row: int
    size: int

    @property
    def key(self) -> str:
        """What it is known by beyond this connection."""
        return f"row {self.row}" if self.row else self.topic


@dataclass(frozen=True)
class Suspicion:
    """`sent`: since the last acknowledgement, in that order; `taken`: bytes of the largest taken on this connection.

    `watched`: what goes alone, and how often the broker has hung up then; `limit`: bytes of the largest message that it
    seems to take, None where it takes all; `proved`: of the largest that it has taken since; `found`: culprits that
    speak for the limit; `barred`: topics at which it hangs up whatever the size. Both hold until a monotonic time, s.
    """

    sent: tuple[Posted, ...] = ()
    taken: int = 0
    watched: Mapping[str, int] = field(default_factory=dict)
    limit: int | None = None
    limit_until: float = 0.0
    proved: int = 0
    found: int = 0
    barred: Mapping[str, float] = field(default_factory=dict)

    @property
    def trusts(self) -> bool:
        """Whether there is no message that should go alone."""
        return not self.watched and self.limit is None


@dataclass(frozen=True)
class Culprit:
    """The message that the broker hangs up at. `taken`: bytes of the largest that it took, None where that is more."""

    posted: Posted
    taken: int | None


def posted(suspicion: Suspicion, message: Posted) -> Suspicion:
    """A message goes out."""
    others = (other for other in suspicion.sent if other.key != message.key)
    return replace(suspicion, sent=(*others, message)[-MOST:])


def acknowledged(suspicion: Suspicion, number: int) -> tuple[Suspicion, frozenset[str]]:
    """The broker has answered this message; the keys of all that it has taken by that."""
    place = next((place for place, one in enumerate(suspicion.sent, 1) if one.number == number), 0)
    answered, left = suspicion.sent[:place], suspicion.sent[place:]
    if not answered:
        return suspicion, frozenset()
    keys = frozenset(one.key for one in answered)
    taken = max(suspicion.taken, *(one.size for one in answered))
    watched = {key: count for key, count in suspicion.watched.items() if key not in keys}
    after = replace(suspicion, sent=left, taken=taken, watched=watched, proved=max(suspicion.proved, taken))
    if after.limit is not None and taken > after.limit:
        after = replace(after, limit=None, found=0)
    return after, keys


def goes_alone(suspicion: Suspicion, message: Posted) -> bool:
    """Whether nothing else should be unanswered while this message is."""
    return message.key in suspicion.watched or _is_doubtful(suspicion, message.size)


def may_join(suspicion: Suspicion, message: Posted, in_flight: bool) -> bool:
    """Whether a message may be sent now; `in_flight`: others are, that are not acknowledged yet."""
    alone = any(goes_alone(suspicion, one) for one in (message, *suspicion.sent))
    return not (in_flight and alone)


def hopeless(suspicion: Suspicion, message: Posted, now: float) -> bool:
    """Whether the broker would hang up at this message, so that it is not even tried. `now`: monotonic, s."""
    above = suspicion.limit is not None and message.size > suspicion.limit and now < suspicion.limit_until
    if message.row:
        return above and suspicion.found >= SURE
    return above or suspicion.barred.get(message.topic, 0.0) > now


def hung_up(suspicion: Suspicion, strikes: int, now: float) -> tuple[Suspicion, Culprit | None]:
    """The connection has ended, which speaks so much against a message that alone was unanswered; whose fault it is."""
    sent = suspicion.sent
    before = replace(suspicion, sent=(), taken=0)
    if not strikes or not sent:
        return before, None
    if len(sent) > 1:
        return replace(before, watched=_newest({**{one.key: 0 for one in sent}, **suspicion.watched})), None
    only = sent[0]
    count = suspicion.watched.get(only.key, 0) + strikes
    needed = EVENT_STRIKES if only.row else OTHER_STRIKES
    if _is_doubtful(suspicion, only.size):
        needed = 1
    if count < needed:
        return replace(before, watched=_newest({**suspicion.watched, only.key: count})), None
    return _condemned(before, only, suspicion.taken, now)


def _condemned(suspicion: Suspicion, only: Posted, taken: int, now: float) -> tuple[Suspicion, Culprit]:
    watched = {key: count for key, count in suspicion.watched.items() if key != only.key}
    until = now + FORGET_SECONDS
    if only.size <= taken:
        barred = suspicion.barred if only.row else _newest({**suspicion.barred, only.key: until})
        return replace(suspicion, watched=watched, barred=barred), Culprit(only, None)
    limit = only.size - 1 if suspicion.limit is None else min(suspicion.limit, only.size - 1)
    proved = taken if suspicion.limit is None else suspicion.proved
    found = suspicion.found + 1
    after = replace(suspicion, watched=watched, limit=limit, limit_until=until, proved=proved, found=found)
    return after, Culprit(only, taken)


def _is_doubtful(suspicion: Suspicion, size: int) -> bool:
    """Whether a message is so large that the limit which was learnt may be lower still."""
    return suspicion.limit is not None and size > max(suspicion.limit // 2, suspicion.proved)


def _newest(known: Mapping[str, Value]) -> dict[str, Value]:
    return dict(list(known.items())[-MOST:])
