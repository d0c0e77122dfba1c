"""The clip that some networks see beside the frame: which frames of a stream make it, and what of it is kept. Pure.

A model that sees clips is one file of two networks that share nothing: one makes of CLIP a map, NEWEST_MAP; the other
reads the newest of these as CLIP_MAP beside each frame, and detects. So a map may serve several frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

CLIP = "clip"  # the input of the one network
NEWEST_MAP = "next_clip_map"  # its output
CLIP_MAP = "clip_map"  # the same as an input of the other
MAP_STRIDE = 32  # of the frames' pixels, in both directions
LARGEST = 256 << 20  # bytes of frames that are kept for one camera, or one of its tiles
FLOAT_BYTES = 4
CLOSEST = 0.45  # frames at the model's rate: of those that are closer together not all are kept
LATE = 0.5  # frames by which a camera may be late
ROUNDED = 6  # digits of seconds, so that of two frames as far away the earlier one is taken wherever that is exact


@dataclass(frozen=True)
class ClipInput:
    """Which frames make a clip, of videos at the manifest's `rate`.

    `frames`: how many; `step`: how many frames of the video from one to the next; `every`: the clip's map serves so
    many frames before it is computed anew. `channels`: of that map; a model's file names them, a checkpoint does not.
    """

    frames: Annotated[int, Field(ge=1, le=64)] = 8
    step: Annotated[int, Field(ge=1, le=100)] = 1
    every: Annotated[int, Field(ge=1, le=100)] = 1
    channels: Annotated[int, Field(ge=0, le=8192)] = 0

    @property
    def before(self) -> int:
        """How many frames of the video the first one lies before the last."""
        return (self.frames - 1) * self.step

    @property
    def most_kept(self) -> int:
        """The most frames of a stream that are kept for it, however fast the camera is."""
        return int(self.before / CLOSEST) + 3


OF_FILES = frozenset({"channels"})  # what checkpoints do not say


def live_places(place: int, clip: ClipInput) -> tuple[int, ...]:
    """The clip that ends with the frame at `place`, counted from the stream's first: that is repeated before itself."""
    back = range(clip.before, -1, -clip.step)
    return tuple(max(place - steps, 0) for steps in back)


def clip_shape(clip: ClipInput, batch: int, height: int, width: int) -> tuple[int, ...]:
    """The shape of CLIP, (B, 3, L, h, w), oldest frame first."""
    return batch, 3, clip.frames, height, width


def map_shape(clip: ClipInput, batch: int, height: int, width: int) -> tuple[int, ...]:
    """The shape of CLIP_MAP and NEWEST_MAP."""
    return batch, clip.channels, height // MAP_STRIDE, width // MAP_STRIDE


def bytes_per_camera(clip: ClipInput, height: int, width: int) -> int:
    """What a camera's frames, or a tile's, take at most, float32, with the map that is kept until the next one."""
    return FLOAT_BYTES * (clip.most_kept * 3 * height * width + int(np.prod(map_shape(clip, 1, height, width))))


def room_problem(clip: ClipInput, height: int, width: int) -> str:
    """That the frames of one camera take more than LARGEST, as the end of a sentence; "" where they do not."""
    needed = bytes_per_camera(clip, height, width)
    if needed <= LARGEST:
        return ""
    return (
        f"a device keeps up to {clip.most_kept} frames of {width}x{height} for each camera, {needed >> 20} MiB, "
        f"and {LARGEST >> 20} MiB are the most"
    )


def is_over(last: float, now: float, clip: ClipInput, rate: float) -> bool:
    """Whether a stream's clip begins anew with the frame at `now`, in seconds, where `last` was the one before.

    So it does after a pause that is longer than a clip, of whose frames nothing is left then, and after the clock has
    stepped back. A clip of one frame has none of before: how long its map serves `clip.every` says alone.
    """
    paused = clip.before > 0 and (now - last) * rate > clip.before + LATE
    return now < last or paused


def least_rate(clip: ClipInput, rate: float) -> float:
    """The frames a second of a camera below which `is_over` holds for every frame; 0 for clips of one."""
    return rate / (clip.before + LATE) if clip.before else 0.0


def chosen(times: Sequence[float], clip: ClipInput, rate: float) -> list[int]:
    """Which of a stream's frames, of these `times` (seconds, rising), make the clip that ends with the last, by index.

    The nearest in time for each: one that was dropped is replaced by its neighbour, of two as near the earlier, and
    before the stream's start stands the first frame. The last is always the last, also where two have one time.
    """
    wanted = times[-1] - np.arange(clip.before, -1, -clip.step) / rate
    away = np.abs(np.asarray(times)[None] - wanted[:, None])
    return [*away.round(ROUNDED).argmin(axis=1).tolist()[:-1], len(times) - 1]


def kept(times: Sequence[float], now: float, clip: ClipInput, rate: float) -> list[int]:
    """Which of a stream's past frames, by index, may still be in a clip that ends with the frame at `now` or later.

    With that frame at most `clip.most_kept`: of a faster camera not all, and none for clips of one frame.
    """
    if not clip.before:
        return []
    first = max((index for index, time in enumerate(times) if time <= now - clip.before / rate), default=0)
    indices = [*range(first, len(times))]
    if len(indices) > 1 and times[-1] - times[-2] < CLOSEST / rate:
        del indices[-1]
    return indices
