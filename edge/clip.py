"""The clip that some networks see beside the frame. Pure."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class ClipInput:
    """Which frames make a clip, of videos at the manifest's `rate`.

    `frames`: how many; `step`: how many frames of the video from one to the next; `every`: the clip's map serves so
    many frames before it is computed anew.
    """

    frames: Annotated[int, Field(ge=1, le=64)] = 8
    step: Annotated[int, Field(ge=1, le=100)] = 1
    every: Annotated[int, Field(ge=1, le=100)] = 1


def live_places(place: int, clip: ClipInput) -> tuple[int, ...]:
    """The clip that ends with the frame at `place`, counted from the stream's first: that is repeated before itself."""
    back = range((clip.frames - 1) * clip.step, -1, -clip.step)
    return tuple(max(place - steps, 0) for steps in back)
