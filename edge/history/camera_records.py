"""What the store keeps of one camera's frame: points of the open events' tubes, and frames with their best scores."""

from collections.abc import Iterator

from edge.events import ActionKey, EventState
from edge.history.history_queue import KeptItem, KeptPicture, KeptPoints
from edge.history.tube_points import TubePoint
from edge.sources import Frame
from edge.tracked_action import TrackedAction
from edge.video.snapshot import Mark


class CameraRecords:
    """Follows the events of one camera. The best frame may come before an event is published, so it is held until."""

    def __init__(self, pictures: bool) -> None:
        self._pictures = pictures
        self._begun: dict[ActionKey, str] = {}  # ids of the open events
        self._held: dict[ActionKey, tuple[Frame, Mark]] = {}  # best frames of actions that are no events yet

    def update(self, frame: Frame, state: EventState) -> Iterator[KeptItem]:
        """What is to be kept of a frame; `state`: after it."""
        self._held = {key: held for key, held in self._held.items() if key in state.actions}
        for key, tracked in state.actions.items():
            if tracked.event_id:
                yield KeptPoints(tracked.event_id, self._points(key, tracked))
            if self._pictures:
                yield from self._best(key, tracked, frame)
        self._begun = {key: one.event_id for key, one in state.actions.items() if one.event_id}

    def _points(self, key: ActionKey, tracked: TrackedAction) -> tuple[TubePoint, ...]:
        if self._begun.get(key) == tracked.event_id:
            return (_newest(tracked),)
        start = tracked.first.monotonic
        before = [
            TubePoint(one.monotonic - start, one.frame_index, one.box, one.score, True)
            for one in tracked.path.boxes
            if one.frame_index < tracked.last.index
        ]
        return (*before, _newest(tracked))

    def _best(self, key: ActionKey, tracked: TrackedAction, frame: Frame) -> Iterator[KeptItem]:
        if tracked.path.best.frame_index == frame.index:
            mark = Mark(tracked.last.box, tracked.action, tracked.path.best.score)
            self._held[key] = frame, mark
        if tracked.event_id and key in self._held:
            best, mark = self._held.pop(key)
            yield KeptPicture(tracked.event_id, best.image, mark)


def _newest(tracked: TrackedAction) -> TubePoint:
    """Where the person is in the newest frame."""
    last = tracked.last
    width, height = last.frame_size
    shares = tuple(float(side) / length for side, length in zip(last.box, (width, height, width, height), strict=True))
    return TubePoint(last.monotonic - tracked.first.monotonic, last.index, shares, last.score, last.observed)
