"""An event's times of day, told by the wall clock as it is now. Pure.

A Jetson without a battery starts in 1970 and learns the date when a time server answers, perhaps in the midst of an
event. Such an event neither ends nor grows longer by that; its times are told anew from the monotonic ones.
"""

from dataclasses import replace

from edge.broker.message import CLOCK_IS_SET
from edge.events import Event

CLOCK_SET = 1.0  # seconds by which the wall clock has moved against the monotonic one where somebody has set it
CLOCK_JUMPED = 10.0  # the same, where it matters to messages that may grow days old

Clocks = tuple[float, float]  # unix and monotonic time, s


def retimed(event: Event, unix_time: float, monotonic_time: float) -> Event:
    """A step with its times told by the wall clock as it is now, given what both clocks say, s.

    `started_unix` stays as it was told first, unless the wall clock has been set since (by more than CLOCK_SET).
    """
    offset = unix_time - monotonic_time
    started = retimed_start(event.started_unix, event.started_monotonic, offset)
    captured = event.t_capture if event.captured_monotonic is None else max(0.0, event.captured_monotonic + offset)
    ended = None if event.ended_unix is None else started + event.duration
    return replace(event, started_unix=started, ended_unix=ended, t_capture=captured)


def retimed_start(started_unix: float, started_monotonic: float, offset: float) -> float:
    """A beginning as it was told first, unless the wall clock has been set since; `offset`: wall minus monotonic, s."""
    moved = abs(offset - (started_unix - started_monotonic)) > CLOCK_SET
    return started_monotonic + offset if moved else started_unix


def clock_jump(before: Clocks, now: Clocks) -> float:
    """By how many seconds the wall clock was set between two looks at both clocks; 0 where it was not, or had not been.

    What is stored by a clock that has never been set does not grow old, so that setting it makes nothing older.
    """
    seconds = (now[0] - before[0]) - (now[1] - before[1])
    return seconds if abs(seconds) > CLOCK_JUMPED and min(before[0], now[0]) > CLOCK_IS_SET else 0.0
