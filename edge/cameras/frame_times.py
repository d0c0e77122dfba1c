"""Which frame of a video file is which, and when it was taken: by the frames' own time stamps, else by a rate. Pure.

What a container says of its rate and its length is often wrong: WebM may name 1000 frames per second, cameras leave
frames out, edit lists hide some, transport streams jitter and begin anew. So a time is taken from the frame's own time
stamp where those are sound, and otherwise reckoned from the rate that the container names, or from 25 where that is
none that a camera has.
"""

from collections.abc import Sequence
from math import isclose, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPS = 25.0
SLOWEST_FPS, FASTEST_FPS = 0.1, 300.0  # that are believed; 600, 1000 and 90000 are units of time in disguise
LONGEST_GAP = 60.0  # seconds between two frames; a longer one is a clock that was set anew
LONGEST_STEP_BACK = 1.0  # seconds; a shorter one is jitter, a longer one a clock that was set anew
EVEN = 0.1  # share of the interval by which steps may differ where frames come evenly
ROUNDING = 0.00101  # seconds, likewise: Matroska and WebM round time stamps to milliseconds
ALIKE = 0.005  # relative difference between the rate named and the one found by which they are the same
MOST_MISSED = 1000  # frames that one failed read may have cost: those between two key frames
LATEST = 32  # frames after a failed read among which its gap shows: decoders reorder 16, and work ahead


class Timing(NamedTuple):
    """How the frames of one file are timed.

    `interval`: seconds from frame to frame, as a rule; `stamped`: whether their time stamps are believed; `even`:
    whether nearly all of them are one interval apart; `known`: False where `interval` is the default.
    """

    interval: float
    stamped: bool
    even: bool
    known: bool

    @property
    def sound(self) -> bool:
        """Whether a player may follow the time stamps alone."""
        return self.stamped and self.even

    @property
    def fps(self) -> float:
        """Frames per second, as a rule."""
        return 1 / self.interval


class Clock(NamedTuple):
    """The newest frame: its number in the file, from 0, and its time, seconds from the beginning.

    `offset` is what is added to a time stamp, and `former` what was before the clock seemed to be set anew, until a
    frame bears that out; `unplaced` counts failed reads whose frames have not been missed yet, `age` the frames since
    the last of them.
    """

    number: int = -1
    time: float = 0.0
    offset: float = 0.0
    former: float | None = None
    unplaced: int = 0
    age: int = 0


def timing(stamps: Sequence[float], announced_fps: float) -> Timing:
    """By the time stamps (s) of a file's first frames, in order, and the rate that its container names."""
    steps = np.diff(np.array(stamps, np.float64))
    sound = steps[(steps > 1 / (1.01 * FASTEST_FPS)) & (steps < LONGEST_GAP)]
    if 2 * len(sound) > len(steps):
        usual = float(np.median(sound))
        near = np.abs(steps - usual) < max(EVEN * usual, ROUNDING)
        even = bool(near.mean() > 0.8)
        return Timing(_interval(steps[near] if even else steps, usual, announced_fps), True, even, True)
    if SLOWEST_FPS <= announced_fps <= FASTEST_FPS:  # False for NaN
        return Timing(1 / announced_fps, False, True, True)
    return Timing(1 / DEFAULT_FPS, False, True, False)


def _interval(steps: NDArray[np.float64], usual: float, announced_fps: float) -> float:
    """Seconds from frame to frame, so that it is right in the long run: steps that are rounded or jitter have a mean.

    The rate that is named is more exact than that of few steps, where it is the same.
    """
    mean = float(steps.mean())
    if not 0 < mean < LONGEST_GAP:
        return usual
    return 1 / announced_fps if isclose(announced_fps * mean, 1, rel_tol=ALIKE) else mean


def following(clock: Clock, stamp: float, failed: int, by: Timing) -> Clock:
    """The frame after that of `clock`, with this time stamp (s), where so many reads have failed between the two.

    A frame that could not be read keeps its number, and its time. Where frames come evenly the gap in the time stamps
    tells which it was; elsewhere it is taken to be the one before this.
    """
    unplaced, age = (clock.unplaced + failed, 0) if failed else (clock.unplaced, clock.age + 1)
    if age > LATEST:
        unplaced = 0  # the decoder made a picture of what was left
    if clock.number < 0:
        return _first(stamp, unplaced, by)
    sound = [
        offset for offset in (clock.offset, clock.former) if offset is not None and _follows(clock, stamp + offset)
    ]
    if not by.stamped or not sound:
        return _reckoned(clock, stamp, unplaced, by)
    offset = min(sound, key=lambda offset: abs(stamp + offset - clock.time - by.interval))
    missed = _missed(stamp + offset - clock.time, unplaced, by)
    return Clock(clock.number + 1 + missed, stamp + offset, offset, None, max(0, unplaced - missed), age)


def _follows(clock: Clock, time: float) -> bool:
    return 0 < time - clock.time <= LONGEST_GAP  # False for NaN


def _reckoned(clock: Clock, stamp: float, missed: int, by: Timing) -> Clock:
    """A frame whose time stamp is not sound: one interval after the last, and after those that were missed."""
    number, time = clock.number + 1 + missed, clock.time + (1 + missed) * by.interval
    jitter = -LONGEST_STEP_BACK < stamp + clock.offset - clock.time <= 0
    if jitter or not isfinite(stamp):
        return Clock(number, time, clock.offset, clock.former)
    return Clock(number, time, time - stamp, clock.offset if clock.former is None else clock.former)


def _first(stamp: float, failed: int, by: Timing) -> Clock:
    """The first frame that can be read: number and time 0, unless reads have failed before it."""
    if not failed:
        return Clock(0, 0.0, -stamp)
    if by.stamped and 0 <= stamp <= LONGEST_GAP:
        missed = round(stamp / by.interval) if by.even else failed
        return Clock(missed, stamp, 0.0, None, max(0, failed - missed))
    time = failed * by.interval
    return Clock(failed, time, time - stamp)


def _missed(step: float, unplaced: int, by: Timing) -> int:
    """How many frames are missing before one that comes `step` seconds after the last."""
    if not unplaced or not by.even:
        return unplaced
    return min(max(0, round(step / by.interval) - 1), MOST_MISSED * unplaced)
