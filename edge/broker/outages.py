"""The history of the connection to the broker, and what of it is worth a line in the log. Pure.

A fault is logged once until there is a connection again. A connection that breaks again and again is one fault of its
own: logged once, and once more when it has been stable for a while.
"""

from dataclasses import dataclass, replace

FIRST, LONGEST = 1.0, 60.0  # seconds before reconnecting
STABLE_SECONDS = 10.0  # that a connection must last to reset the delay
WINDOW = 600.0  # seconds in which breaks are counted, and after which it is stable again
MANY = 3  # breaks in this window


@dataclass(frozen=True)
class Outages:
    """`fault`: why there is no connection, None while there is one; `last`: the newest fault; times are monotonic, s.

    `breaks`: when open connections ended; `unstable`: what was logged about them, None while there are few;
    `logged`: faults that are not logged again before there is a stable connection.
    """

    fault: str | None = None
    last: str | None = None
    opened_at: float | None = None
    breaks: tuple[float, ...] = ()
    unstable: str | None = None
    logged: frozenset[str] = frozenset()
    attempts: int = 0


def opened(outages: Outages, now: float) -> tuple[Outages, str | None]:
    """After a connection has been made; what to log."""
    if outages.unstable is not None:
        return replace(outages, fault=None, opened_at=now), None
    return replace(outages, fault=None, opened_at=now, logged=frozenset()), "connected"


def closed(outages: Outages, reason: str, now: float) -> tuple[Outages, str | None, float]:
    """After a connection has failed or ended; what to log, and seconds until reconnecting, before any jitter."""
    held = outages.opened_at is not None and now - outages.opened_at >= STABLE_SECONDS
    attempts = 0 if held else outages.attempts
    breaks = tuple(at for at in outages.breaks if now - at < WINDOW)
    if outages.opened_at is not None:
        breaks = (*breaks, now)
    unstable, sentence = outages.unstable, None if reason in outages.logged else reason
    if unstable is None and len(breaks) >= MANY:
        unstable = sentence = (
            f"the connection is unstable, lost {len(breaks)} times in {WINDOW / 60:g} minutes, most recently: "
            f"{reason}; check the network, and that each client has its own [mqtt] client_id"
        )
    after = Outages(reason, reason, None, breaks, unstable, outages.logged | {reason}, min(attempts + 1, 30))
    return after, sentence, min(FIRST * 2.0**attempts, LONGEST)


def stabilized(outages: Outages, now: float) -> tuple[Outages, str | None]:
    """Whether an unstable connection has been stable for long enough; what to log. To be called regularly."""
    if outages.unstable is None or outages.opened_at is None or now - outages.opened_at < WINDOW:
        return outages, None
    return replace(outages, unstable=None, breaks=(), logged=frozenset()), "the connection is stable again"
