"""The thread that writes the event store. Shell.

Nobody waits for it. What the disk refuses is lost to the history alone: the thread tries again with what comes later,
and that is logged once each way.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge import threads
from edge.broker.message import clock_jump
from edge.history.event_store import EventStore, KeptStep, StoreLimits, StoreUsage, trusted_now
from edge.history.history_queue import HistoryQueue, KeptClip, KeptItem, KeptPicture, KeptPoints
from edge.history.store_files import CLIP, PICTURE
from edge.history.store_tables import UNREADABLE, StoreError
from edge.history.unfinished import UnfinishedEvents
from edge.sensors import clock

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.5
RETRY_SECONDS = 5.0  # between two tries of a disk that has refused
PRUNE_SECONDS = 10.0  # between two looks at the limits
CLOSE_SECONDS = 3.0
EVENTS, MEDIA, SPEED = "events", "pictures and clips", "speed"  # what the disk may refuse
REFUSED = "free the disk, make it writable to this user, or lower the limits in [history]"
SLOW = "set clips = false in [history], or take a faster disk"

PublishPicture = Callable[[str, str, str, bytes], None]  # camera, action, event id, JPEG


@dataclass(frozen=True)
class RecorderSettings:
    """Where and how much is kept. `picture_width`: pixels; `picture_quality`: of JPEG, 1 to 100."""

    path: Path
    limits: StoreLimits
    picture_width: int = 640
    picture_quality: int = 80


@dataclass(frozen=True)
class RecorderState:
    """What telemetry tells: how full the store is, entries lost since the start, and what is wrong now."""

    usage: StoreUsage = StoreUsage(0, 0, 0)
    lost: int = 0
    fault: str | None = None


class Recorder:
    """Keeps what is put into its `queue`, in a thread of its own; `state` may be read by any thread."""

    def __init__(
        self, settings: RecorderSettings, publish_picture: PublishPicture | None = None, first: bool = True
    ) -> None:
        """Begin to open the store. `first`: of this run, so that open events were left by a crash.

        `publish_picture`: is given the best picture of every event at its end. Raises ThreadError.
        """
        self.queue, self.state = HistoryQueue(), RecorderState()
        self._settings, self._publish_picture, self._first = settings, publish_picture, first
        self._store: EventStore | None = None
        self._events = UnfinishedEvents(settings.picture_width, settings.picture_quality)
        self._faults: dict[str, str] = {}
        self._lost = self._dropped = 0
        self._retry_at = self._prune_at = 0.0
        self._clocks = time.time(), time.monotonic()
        self._jumped_at: float | None = None
        self._thread = threads.start("history", self._run)

    def close(self, wait: bool = True) -> None:
        """Write what waits and close the store; not `wait`: in its own time."""
        self.queue.close()
        if wait:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            closing = self.queue.closed
            self._round(self.queue.take(IDLE_SECONDS))
            if closing:
                break
        if self._store is not None:
            with self._telling(EVENTS):
                self._write_events([], self._events.all_ids())
            with self._telling(MEDIA):
                self._write_pictures(self._events.all_ids())
        with self._telling(EVENTS):
            self._usage()
        if self._store is not None:
            self._store.close()

    def _round(self, items: list[KeptItem]) -> None:
        self._follow_clock()
        if self._store is None and time.monotonic() >= self._retry_at:
            with self._telling(EVENTS):
                self._store = self._opened()
        if self._store is None:
            self._lost += len(items)
        ended = [str(item.payload["event_id"]) for item in items if isinstance(item, KeptStep) and is_end(item)]
        with self._telling(EVENTS, items):
            self._write_events(items, ended)
        with self._telling(MEDIA):
            self._write_media(items, ended)
        self._publish_pictures(items)
        self._events.forget(ended)
        with self._telling(EVENTS):
            self._prune()
        self._notice_drops()
        self.state = RecorderState(self.state.usage, self._lost + self.queue.dropped, self._fault())

    def _opened(self) -> EventStore:
        store = EventStore(self._settings.path)
        if store.moved is not None:
            log.error("history %s: was damaged and is now %s; a new one is begun", store.path, store.moved)
        if self._first:
            self._first = False
            store.end_interrupted(time.time())
        store.remove_orphans(time.time())
        return store

    def _write_events(self, items: list[KeptItem], ended: list[str] | tuple[str, ...]) -> None:
        for item in items:
            if isinstance(item, KeptPoints):
                self._events.add_points(item)
        points = self._events.points(ended)
        steps = [item for item in items if isinstance(item, KeptStep)]
        if self._store is not None and (steps or points):
            self._store.write(steps, points)
            self._recovered(EVENTS)
        self._events.points_written(points)

    def _write_media(self, items: list[KeptItem], ended: list[str]) -> None:
        for item in items:
            if isinstance(item, KeptPicture):
                self._events.add_picture(item)
        self._write_pictures(ended)
        for item in items:
            if isinstance(item, KeptClip) and self._store is not None:
                self._store.write_media(item.event_id, CLIP, item.content, item.start)
                self._recovered(MEDIA)

    def _write_pictures(self, ended: list[str] | tuple[str, ...]) -> None:
        for event_id, picture in self._events.pictures(ended).items():
            if self._store is not None and self._store.write_media(event_id, PICTURE, picture):
                self._events.picture_written(event_id)
                self._recovered(MEDIA)

    def _publish_pictures(self, items: list[KeptItem]) -> None:
        for item in items:
            if self._publish_picture is None or not isinstance(item, KeptStep) or not is_end(item):
                continue
            payload = item.payload
            if picture := self._events.picture(payload["event_id"]):
                self._publish_picture(payload["camera"], payload["action"], payload["event_id"], picture)

    def _prune(self) -> None:
        if self._store is not None and time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            self._store.prune(self._settings.limits, trusted_now(clock.synced(), self._jumped_at))
            self._usage()

    def _usage(self) -> None:
        if self._store is not None:
            self.state = RecorderState(self._store.usage(), self._lost + self.queue.dropped, self._fault())

    def _follow_clock(self) -> None:
        before, self._clocks = self._clocks, (time.time(), time.monotonic())
        if clock_jump(before, self._clocks):
            self._jumped_at = time.monotonic()

    @contextmanager
    def _telling(self, kind: str, items: list[KeptItem] | None = None) -> Iterator[None]:
        """Say once what the disk refuses; `items` are lost with it."""
        try:
            yield
        except StoreError as error:
            self._failed(kind, str(error))
            self._retry_at = float("inf")
        except (*UNREADABLE, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._failed(kind, f"{self._settings.path}: {kind} cannot be kept ({' '.join(reason.split())}): {REFUSED}")
            self._lost += len(items or ()) or 1
            if kind == EVENTS:
                self._close_store()

    def _close_store(self) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if self._store is not None:
            with suppress(*UNREADABLE):
                self._store.close()
            self._store = None

    def _failed(self, kind: str, sentence: str) -> None:
        if kind not in self._faults:
            log.error("history %s; events are published all the same", sentence)
        self._faults[kind] = sentence

    def _recovered(self, kind: str) -> None:
        if self._faults.pop(kind, None):
            log.info("history %s: is written again; %d entries were lost", self._settings.path, self._lost)

    def _notice_drops(self) -> None:
        """Say once that more happens than the disk takes, and once that it keeps up again."""
        dropped, self._dropped = self.queue.dropped - self._dropped, self.queue.dropped
        if dropped and SPEED not in self._faults and not self.queue.closed:
            self._failed(
                SPEED, f"{self._settings.path}: its disk is too slow for all that happens, some is not kept: {SLOW}"
            )
        elif not dropped:
            self._recovered(SPEED)

    def _fault(self) -> str | None:
        return "; ".join(dict.fromkeys(self._faults.values())) or None


def is_end(step: KeptStep) -> bool:
    """Whether it is the last step of its event."""
    return bool(step.payload["type"] == "end")
