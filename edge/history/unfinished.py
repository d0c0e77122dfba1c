"""What is kept in memory of events that have not ended: points of tubes, and the best picture. Shell: encodes JPEG."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.history import tube_points
from edge.history.history_queue import KeptPicture, KeptPoints
from edge.history.tube_points import TubePoint
from edge.video.snapshot import SnapshotError, snapshot

log = logging.getLogger(__name__)

MOST_EVENTS = 1000  # beyond it the oldest are forgotten: their ends were lost, as where the queue was full
BATCH_POINTS = 64  # of a tube, before they are written


@dataclass
class UnfinishedEvent:
    """One event. `count`, `last`: of the points so far, and the seconds of the last."""

    points: list[TubePoint] = field(default_factory=list)
    count: int = 0
    last: float = -1e9
    picture: bytes = b""
    written_picture: bytes = b""


class UnfinishedEvents:
    """All that have not ended, by id; for one thread."""

    def __init__(self, picture_width: int, picture_quality: int) -> None:
        """`picture_width`: pixels; `picture_quality`: of JPEG, 1 to 100."""
        self._width, self._quality = picture_width, picture_quality
        self._events: dict[str, UnfinishedEvent] = {}

    def add_points(self, kept: KeptPoints) -> None:
        """Remember more of a tube; beyond MAX_POINTS one point a second."""
        one = self._of(kept.event_id)
        for point in kept.points:
            if tube_points.worth_keeping(one.count, one.last, point.seconds):
                one.points.append(point)
                one.count, one.last = one.count + 1, point.seconds

    def add_picture(self, kept: KeptPicture) -> None:
        """Remember the best picture so far; a frame that cannot be one is logged."""
        try:
            self._of(kept.event_id).picture = snapshot(kept.image, kept.mark, self._width, self._quality)
        except SnapshotError as error:
            log.warning("history: the picture of an event is left out: %s", error)

    def points(self, ended: Iterable[str]) -> dict[str, list[TubePoint]]:
        """The points to write now: of these events, and of those with many."""
        many = (event_id for event_id, one in self._events.items() if len(one.points) >= BATCH_POINTS)
        return {event_id: self._of(event_id).points for event_id in {*ended, *many}}

    def points_written(self, event_ids: Iterable[str]) -> None:
        """They are in the store."""
        for event_id in event_ids:
            self._of(event_id).points = []

    def picture(self, event_id: str) -> bytes:
        """The best picture so far, JPEG; empty for none."""
        return self._of(event_id).picture

    def pictures(self, ended: Iterable[str]) -> dict[str, bytes]:
        """The pictures to write now: the first of every event, and the best of these."""
        due = {*ended, *(event_id for event_id, one in self._events.items() if not one.written_picture)}
        found = {event_id: self._of(event_id) for event_id in due}
        return {event_id: one.picture for event_id, one in found.items() if one.picture != one.written_picture}

    def picture_written(self, event_id: str) -> None:
        """Its picture is in the store."""
        one = self._of(event_id)
        one.written_picture = one.picture

    def taken(self, event_id: str) -> tuple[list[TubePoint], bytes]:
        """All points of an event and its best picture, which are then forgotten."""
        one = self._events.pop(event_id, UnfinishedEvent())
        return one.points, one.picture

    def all_ids(self) -> tuple[str, ...]:
        """The events."""
        return tuple(self._events)

    def forget(self, event_ids: Iterable[str]) -> None:
        """They have ended."""
        for event_id in event_ids:
            self._events.pop(event_id, None)

    def _of(self, event_id: str) -> UnfinishedEvent:
        if event_id not in self._events and len(self._events) >= MOST_EVENTS:
            del self._events[next(iter(self._events))]
        return self._events.setdefault(event_id, UnfinishedEvent())
