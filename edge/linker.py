"""The interface of linkers, which join the detections of consecutive frames into tubes. Pure.

There are two: `default_linker.py`, and `korsal_linker.py` to compare with. Which one a camera uses is decided where its
pipeline is built (`edge/service/settings.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from edge.detector import Detections
from edge.tubes import TubeBox


@dataclass(frozen=True, eq=False)
class LinkerState:
    """What is carried from frame to frame: nothing that grows with time. Tubes are numbered from 1.

    `live`: the live tubes, of a type that each linker defines. A linker that finds those of another one, after a reload
    of the configuration, drops them.
    """

    frame: int | None = None  # number of the last frame
    next_tube: int = 1
    live: object = None


class Linker(Protocol):
    """Links one frame after another; a value, without state of its own."""

    @property
    def minimum_score(self) -> float:
        """The pipeline drops weaker detections before linking, 0..1."""
        ...

    def step(self, state: LinkerState, detections: Detections, frame: int) -> tuple[LinkerState, tuple[TubeBox, ...]]:
        """Link the detections of frame number `frame`; returns every live tube in it, extrapolated ones included.

        Frame numbers rise; where some are skipped, the tubes move on by that many frames. ValueError if they do not
        rise.
        """
        ...


def initial() -> LinkerState:
    """The state before the first frame."""
    return LinkerState()


def elapsed_frames(state: LinkerState, frame: int) -> int:
    """Frames since the last one, 1 for the first. ValueError if frame numbers do not rise."""
    if state.frame is None:
        return 1
    if frame <= state.frame:
        raise ValueError(f"frame {frame} came after frame {state.frame}: number the frames of a camera upwards")
    return frame - state.frame
