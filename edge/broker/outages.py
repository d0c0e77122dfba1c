"""How the connection to the broker has held, and what of it is worth a line in the log. Pure.

A fault is told once until there is a connection again. A connection that breaks again and again is one fault of its
own: told once, and once more when it has held for a while.
"""

from dataclasses import dataclass, replace

FIRST, LONGEST = 1.0, 60.0  # seconds before dialling again
STEADY = 10.0  # seconds that a connection must hold, that the next delay is the first again
WINDOW = 600.0  # seconds in which breaks are counted, and for which it must hold to be sound again
MANY = 3  # breaks in this window


@dataclass(frozen=True)
class Outages:
    """`fault`: why there is no connection, None while there is one; `last`: the newest fault; times are monotonic, s.

    `breaks`: when open connections have ended; `unsound`: the sentence told of their number, None while there are few;
    `told`: faults that have been told and are not told again before there is a sound connection.
    """

    fault: str | None = None
    last: str | None = None
    opened_at: float | None = None
    breaks: tuple[float, ...] = ()
    unsound: str | None = None
    told: frozenset[str] = frozenset()
    attempts: int = 0


def opened(outages: Outages, now: float) -> tuple[Outages, str | None]:
    """There is a connection; what to say of it."""
    if outages.unsound is not None:
        return replace(outages, fault=None, opened_at=now), None
    return replace(outages, fault=None, opened_at=now, told=frozenset()), "connected"


def closed(outages: Outages, reason: str, now: float) -> tuple[Outages, str | None, float]:
    """There is none, or none any more: what to say, and after how many seconds to dial again, before any jitter."""
    held = outages.opened_at is not None and now - outages.opened_at >= STEADY
    attempts = 0 if held else outages.attempts
    breaks = tuple(at for at in outages.breaks if now - at < WINDOW)
    if outages.opened_at is not None:
        breaks = (*breaks, now)
    unsound, said = outages.unsound, None if reason in outages.told else reason
    if unsound is None and len(breaks) >= MANY:
        unsound = said = (
            f"the connection does not hold, lost {len(breaks)} times in {WINDOW / 60:g} minutes, the last time so: "
            f"{reason}; check the network, and that each client has its own [mqtt] client_id"
        )
    after = Outages(reason, reason, None, breaks, unsound, outages.told | {reason}, min(attempts + 1, 30))
    return after, said, min(FIRST * 2.0**attempts, LONGEST)


def steadied(outages: Outages, now: float) -> tuple[Outages, str | None]:
    """Whether a connection that did not hold does so by now; to be asked now and then."""
    if outages.unsound is None or outages.opened_at is None or now - outages.opened_at < WINDOW:
        return outages, None
    return replace(outages, unsound=None, breaks=(), told=frozenset()), "the connection holds again"
