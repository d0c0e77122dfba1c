"""The interface of linkers, which join the detections of consecutive frames into tubes. Pure.

There are two: `default_linker.py`, and `korsal_linker.py` to compare with. Which one a camera uses is decided where its
pipeline is built (`edge/service/settings.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from edge.detector import Detections
from edge.motion_gap import REFERENCE_RATE
from edge.tubes import TubeBox

UNIT = 1 / REFERENCE_RATE
"""Seconds, one frame of the videos that the linkers were made for; their gains and factors are for that time."""
ROUNDING = 1e-3  # UNITs


@dataclass(frozen=True, eq=False)
class LinkerState:
    """What is carried from frame to frame: nothing that grows with time. Tubes are numbered from 1.

    `time`: of the last frame, seconds; `elapsed`: units between it and the frame before.
    `live`: the live tubes, of a type that each linker defines. A linker that finds those of another one, after a reload
    of the configuration, drops them.
    """

    time: float | None = None
    elapsed: float = 1.0
    next_tube: int = 1
    live: object = None


class Linker(Protocol):
    """Links one frame after another; a value, without state of its own."""

    @property
    def minimum_score(self) -> float:
        """The pipeline drops weaker detections before linking, 0..1."""
        ...

    def step(self, state: LinkerState, detections: Detections, time: float) -> tuple[LinkerState, tuple[TubeBox, ...]]:
        """Link the detections of the frame taken at `time`, seconds of any clock.

        Returns every live tube in that frame, extrapolated ones included. The tubes move on by the time since the last
        frame; by none where a clock has stepped back.
        """
        ...


def initial() -> LinkerState:
    """The state before the first frame."""
    return LinkerState()


def elapsed_units(state: LinkerState, time: float) -> float:
    """Time since the last frame in UNITs, 1 for the first; whole where it is nearly so, as time stamps are rounded."""
    if state.time is None:
        return 1.0
    units = max(time - state.time, 0.0) / UNIT
    return float(round(units)) if abs(units - round(units)) < ROUNDING else units
