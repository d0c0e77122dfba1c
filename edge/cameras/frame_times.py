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
MIN_FPS, MAX_FPS = 0.1, 300.0  # that are believed; 600, 1000 and 90000 are units of time in disguise
MAX_GAP = 60.0  # seconds between two frames; a longer one is a clock that was set anew
MAX_JITTER = 1.0  # seconds; a shorter one is jitter, a longer one a clock that was set anew
EVEN_TOLERANCE = 0.1  # share of the interval by which steps may differ where frames come evenly
ROUNDING_TOLERANCE = 0.00101  # seconds, likewise: Matroska and WebM round time stamps to milliseconds
RATE_TOLERANCE = 0.005  # relative difference between the rate named and the one found by which they are the same
MAX_MISSED = 1000  # frames that one failed read may have cost: those between two key frames
GAP_SEARCH_FRAMES = 32  # frames after a failed read among which its gap shows: decoders reorder 16, and work ahead


class Timing(NamedTuple):
    """How the frames of one file are timed.

    `interval`: the usual seconds from frame to frame; `has_time_stamps`: whether their own time stamps can be trusted;
    `even`: whether nearly all frames are one interval apart; `known`: False where `interval` is the default.
    """

    interval: float
    has_time_stamps: bool
    even: bool
    known: bool

    @property
    def sound(self) -> bool:
        """Whether a player may follow the time stamps alone."""
        return self.has_time_stamps and self.even

    @property
    def fps(self) -> float:
        """Frames per second, as a rule."""
        return 1 / self.interval


class FramePosition(NamedTuple):
    """The newest frame: its number in the file, from 0, and its time, seconds from the beginning.

    `offset` is added to a time stamp; `previous_offset` is the one before an apparent reset of the clock, until a frame
    confirms that reset; `unplaced` counts failed reads whose frames have not shown as gaps yet, `age` the frames since
    the last of them.
    """

    number: int = -1
    time: float = 0.0
    offset: float = 0.0
    previous_offset: float | None = None
    unplaced: int = 0
    age: int = 0


def estimate_timing(stamps: Sequence[float], announced_fps: float) -> Timing:
    """By the time stamps (s) of a file's first frames, in order, and the rate that its container names."""
    steps = np.diff(np.array(stamps, np.float64))
    sound = steps[(steps > 1 / (1.01 * MAX_FPS)) & (steps < MAX_GAP)]
    if 2 * len(sound) > len(steps):
        usual = float(np.median(sound))
        near = np.abs(steps - usual) < max(EVEN_TOLERANCE * usual, ROUNDING_TOLERANCE)
        even = bool(near.mean() > 0.8)
        return Timing(_interval(steps[near] if even else steps, usual, announced_fps), True, even, True)
    if MIN_FPS <= announced_fps <= MAX_FPS:  # False for NaN
        return Timing(1 / announced_fps, False, True, True)
    return Timing(1 / DEFAULT_FPS, False, True, False)


def _interval(steps: NDArray[np.float64], usual: float, announced_fps: float) -> float:
    """Seconds from frame to frame, so that it is right in the long run: steps that are rounded or jitter have a mean.

    The rate that is named is more exact than that of few steps, where it is the same.
    """
    mean = float(steps.mean())
    if not 0 < mean < MAX_GAP:
        return usual
    return 1 / announced_fps if isclose(announced_fps * mean, 1, rel_tol=RATE_TOLERANCE) else mean


def next_position(position: FramePosition, stamp: float, failed: int, by: Timing) -> FramePosition:
    """The frame after that of `position`, with this time stamp (s), where so many reads have failed between the two.

    A frame that could not be read keeps its number, and its time. Where frames come evenly the gap in the time stamps
    tells which it was; elsewhere it is taken to be the one before this.
    """
    unplaced, age = (position.unplaced + failed, 0) if failed else (position.unplaced, position.age + 1)
    if age > GAP_SEARCH_FRAMES:
        unplaced = 0  # the decoder made a picture of what was left
    if position.number < 0:
        return _first(stamp, unplaced, by)
    sound = [
        offset
        for offset in (position.offset, position.previous_offset)
        if offset is not None and _follows(position, stamp + offset)
    ]
    if not by.has_time_stamps or not sound:
        return _estimated(position, stamp, unplaced, by)
    offset = min(sound, key=lambda offset: abs(stamp + offset - position.time - by.interval))
    missed = _missed(stamp + offset - position.time, unplaced, by)
    return FramePosition(position.number + 1 + missed, stamp + offset, offset, None, max(0, unplaced - missed), age)


def _follows(position: FramePosition, time: float) -> bool:
    return 0 < time - position.time <= MAX_GAP  # False for NaN


def _estimated(position: FramePosition, stamp: float, missed: int, by: Timing) -> FramePosition:
    """A frame whose time stamp is not sound: one interval after the last, and after those that were missed."""
    number, time = position.number + 1 + missed, position.time + (1 + missed) * by.interval
    jitter = -MAX_JITTER < stamp + position.offset - position.time <= 0
    if jitter or not isfinite(stamp):
        return FramePosition(number, time, position.offset, position.previous_offset)
    return FramePosition(
        number, time, time - stamp, position.offset if position.previous_offset is None else position.previous_offset
    )


def _first(stamp: float, failed: int, by: Timing) -> FramePosition:
    """The first frame that can be read: number and time 0, unless reads have failed before it."""
    if not failed:
        return FramePosition(0, 0.0, -stamp)
    if by.has_time_stamps and 0 <= stamp <= MAX_GAP:
        missed = round(stamp / by.interval) if by.even else failed
        return FramePosition(missed, stamp, 0.0, None, max(0, failed - missed))
    time = failed * by.interval
    return FramePosition(failed, time, time - stamp)


def _missed(step: float, unplaced: int, by: Timing) -> int:
    """How many frames are missing before one that comes `step` seconds after the last."""
    if not unplaced or not by.even:
        return unplaced
    return min(max(0, round(step / by.interval) - 1), MAX_MISSED * unplaced)
