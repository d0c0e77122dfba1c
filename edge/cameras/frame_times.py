"""Number and time of each frame of a video file: from its own time stamp, else from a frame rate. Pure.

The rate and length that a container announces are often wrong: WebM may announce 1000 frames per second, cameras skip
frames, edit lists hide some, transport streams jitter and restart. So a frame's time is its own time stamp where those
are sound, and otherwise computed from the announced rate, or from 25 where no camera has such a rate.
"""

from collections.abc import Sequence
from math import isclose, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DEFAULT_FPS = 25.0
MIN_FPS, MAX_FPS = 0.1, 300.0  # plausible rates; 600, 1000 and 90000 are really units of time
MAX_GAP = 60.0  # seconds between two frames; more means that the clock was reset
MAX_JITTER = 1.0  # seconds that a time stamp may step back; more means that the clock was reset
EVEN_TOLERANCE = 0.1  # of the interval, by which the steps of evenly spaced frames may differ
ROUNDING_TOLERANCE = 0.00101  # seconds, likewise: Matroska and WebM round time stamps to milliseconds
RATE_TOLERANCE = 0.005  # relative difference up to which announced and measured rate are the same
MAX_MISSED = 1000  # frames lost to one failed read: those between two key frames
GAP_SEARCH_FRAMES = 32  # frames after a failed read in which its gap shows: decoders reorder 16, and work ahead


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
        """Whether a player can rely on the time stamps alone."""
        return self.has_time_stamps and self.even

    @property
    def fps(self) -> float:
        """The usual frames per second."""
        return 1 / self.interval


class FramePosition(NamedTuple):
    """A frame's number in the file, from 0, and its time, seconds from the beginning.

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
    """A file's timing, from the time stamps (s) of its first frames and its announced rate."""
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
    """Seconds from frame to frame, right in the long run: the mean of steps that are rounded or jitter.

    Where it agrees with the announced rate, that is more exact than the mean of a few steps.
    """
    mean = float(steps.mean())
    if not 0 < mean < MAX_GAP:
        return usual
    return 1 / announced_fps if isclose(announced_fps * mean, 1, rel_tol=RATE_TOLERANCE) else mean


def next_position(position: FramePosition, stamp: float, failed: int, timing: Timing) -> FramePosition:
    """The position of the next frame, with this time stamp (s), after so many `failed` reads.

    A frame that could not be read keeps its number and its time. Where frames are evenly spaced, the gap in the time
    stamps shows which one it was; otherwise it is taken to be the one before this.
    """
    unplaced, age = (position.unplaced + failed, 0) if failed else (position.unplaced, position.age + 1)
    if age > GAP_SEARCH_FRAMES:
        unplaced = 0  # the decoder made frames of what was left
    if position.number < 0:
        return _first(stamp, unplaced, timing)
    sound = [
        offset
        for offset in (position.offset, position.previous_offset)
        if offset is not None and _follows(position, stamp + offset)
    ]
    if not timing.has_time_stamps or not sound:
        return _estimated(position, stamp, unplaced, timing)
    offset = min(sound, key=lambda offset: abs(stamp + offset - position.time - timing.interval))
    missed = _missed(stamp + offset - position.time, unplaced, timing)
    return FramePosition(position.number + 1 + missed, stamp + offset, offset, None, max(0, unplaced - missed), age)


def _follows(position: FramePosition, time: float) -> bool:
    return 0 < time - position.time <= MAX_GAP  # False for NaN


def _estimated(position: FramePosition, stamp: float, missed: int, timing: Timing) -> FramePosition:
    """A frame whose time stamp is not sound: one interval after the last, or after those that were missed."""
    number, time = position.number + 1 + missed, position.time + (1 + missed) * timing.interval
    jitter = -MAX_JITTER < stamp + position.offset - position.time <= 0
    if jitter or not isfinite(stamp):
        return FramePosition(number, time, position.offset, position.previous_offset)
    return FramePosition(
        number, time, time - stamp, position.offset if position.previous_offset is None else position.previous_offset
    )


def _first(stamp: float, failed: int, timing: Timing) -> FramePosition:
    """The first frame that can be read: number and time 0, unless reads failed before it."""
    if not failed:
        return FramePosition(0, 0.0, -stamp)
    if timing.has_time_stamps and 0 <= stamp <= MAX_GAP:
        missed = round(stamp / timing.interval) if timing.even else failed
        return FramePosition(missed, stamp, 0.0, None, max(0, failed - missed))
    time = failed * timing.interval
    return FramePosition(failed, time, time - stamp)


def _missed(step: float, unplaced: int, timing: Timing) -> int:
    """How many frames are missing before one that is `step` seconds after the last."""
    if not unplaced or not timing.even:
        return unplaced
    return min(max(0, round(step / timing.interval) - 1), MAX_MISSED * unplaced)
