"""The last ten minutes of scores of each camera's actions, also of those that stayed below every threshold. Pure.

Of each half second the best score of each action is kept, a byte each: 31 KB a camera for 26 actions.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.tubes import TubeBox

STEP = 0.5  # seconds
SLOTS = 1200
SCALE = 250  # of a byte, for a score of 1
NO_FRAME = 255  # in place of a score where no frame was processed


@dataclass(frozen=True)
class ScorePart:
    """Scores from slot `first` on. `content`: a row of one byte an action for each slot; `now`: the current slot."""

    first: int
    now: int
    content: bytes


class ScoreHistory:
    """Of all cameras; time is given, by the monotonic clock, so that nobody who sets the clock moves it."""

    def __init__(self, actions: int) -> None:
        self._actions = actions
        self._rows: dict[str, NDArray[np.uint8]] = {}  # (SLOTS, actions), by camera; a slot's row is at slot % SLOTS
        self._newest: dict[str, int] = {}  # the slot that was written last, by camera

    def add(self, camera: str, now: float, tube_boxes: Sequence[TubeBox]) -> None:
        """Add a frame's observed people at the time `now`, s."""
        slot = int(now / STEP)
        rows = self._rows.get(camera)
        if rows is None:
            rows = self._rows[camera] = np.full((SLOTS, self._actions), NO_FRAME, np.uint8)
        row = rows[slot % SLOTS]
        if slot != self._newest.get(camera):
            self._forget(camera, slot)
            row[:] = 0
        for one in tube_boxes:
            if one.observed:
                scores = np.nan_to_num(one.class_scores).clip(0, 1) * SCALE
                np.maximum(row, scores.astype(np.uint8), out=row)

    def since(self, camera: str, now: float, after: int) -> ScorePart:
        """What is known of a camera from slot `after` on, up to the time `now`, s; the oldest may be gone."""
        last = int(now / STEP)
        first = min(max(after, last - SLOTS + 1), last + 1)
        rows = self._rows.get(camera)
        newest = self._newest.get(camera, -1)
        if rows is None:
            return ScorePart(first, last, bytes([NO_FRAME]) * ((last + 1 - first) * self._actions))
        slots = np.arange(first, last + 1)
        found = rows[slots % SLOTS]
        found[(slots > newest) | (slots <= newest - SLOTS)] = NO_FRAME
        return ScorePart(first, last, found.tobytes())

    def keep_only(self, cameras: Container[str]) -> None:
        """Forget all other cameras."""
        for camera in [one for one in self._rows if one not in cameras]:
            del self._rows[camera], self._newest[camera]

    def _forget(self, camera: str, slot: int) -> None:
        """Empty the slots between the newest and this one, which nothing was written to."""
        rows, newest = self._rows[camera], self._newest.get(camera, slot - SLOTS)
        skipped = np.arange(max(newest + 1, slot - SLOTS + 1), slot)
        rows[skipped % SLOTS] = NO_FRAME
        self._newest[camera] = slot
