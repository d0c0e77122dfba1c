"""Which frames of a video make the clip of a key frame (Zhuo et al. 2024: key frame random sampling). Pure.

While training the key frame is anywhere in its clip, so that the network learns what comes before and after; a live
stream has nothing after, there the clip ends with it. Places count the frames that a video has.
"""

import numpy as np
from numpy.typing import NDArray

from edge.clip import ClipInput, live_places


def clips(place: int, count: int, clip: ClipInput, anywhere: bool) -> list[tuple[int, ...]]:
    """Every clip that the key frame at `place` of `count` may be shown with, each (clip.frames,), oldest first.

    `anywhere`: wherever the video's ends leave room for the whole clip around it; else it is the last. In a video that
    is too short for that, it is the last, and the first frame is repeated before itself, as live. With `clip.every`
    above 1 the clip may also have ended up to so many frames, less one, before it.
    """
    around = [_around(place, j, clip) for j in _positions(place, count, clip)] if anywhere else []
    earlier = [live_places(place - late, clip) for late in range(1, min(clip.every - 1, place) + 1)]
    return (around or [live_places(place, clip)]) + earlier


def drawn(place: int, count: int, clip: ClipInput, anywhere: bool, random: np.random.Generator) -> NDArray[np.int64]:
    """One of `clips`, all alike likely."""
    found = clips(place, count, clip, anywhere)
    return np.array(found[int(random.integers(len(found)))], np.int64)


def _positions(place: int, count: int, clip: ClipInput) -> range:
    """Which frame of its clip, from 0, the key frame can be, so that the whole clip lies inside the video."""
    before, after = place // clip.step, (count - 1 - place) // clip.step
    return range(max(clip.frames - 1 - after, 0), min(before, clip.frames - 1) + 1)


def _around(place: int, position: int, clip: ClipInput) -> tuple[int, ...]:
    first = place - position * clip.step
    return tuple(range(first, first + clip.frames * clip.step, clip.step))
