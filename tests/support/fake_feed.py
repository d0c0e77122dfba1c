"""Stand-ins for what a camera session uses: a feed, and announcers that publish nothing or remember."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.people_count import PeopleCount
from edge.pipeline import PipelineSettings
from edge.service.camera_session import CameraSession
from edge.sources import Frame


class FakeFeed:
    """A camera that has a new frame whenever `ready` says so."""

    def __init__(self, ready: Callable[[], bool] = lambda: True) -> None:
        self.ready, self.state, self.live, self.finished, self.failed = ready, "online", True, False, False
        self.given = 0

    def now(self) -> float:
        return 0.0

    def newest(self) -> Frame | None:
        if not self.ready():
            return None
        self.given += 1
        return Frame("c", self.given, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8))

    def close(self) -> None:
        pass


class SilentAnnouncer:
    """An announcer that publishes nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


class RecordingAnnouncer(SilentAnnouncer):
    """An announcer that remembers the people, actions and requested pictures published."""

    people_score = 0.15

    def __init__(self) -> None:
        self.actions: list[dict[str, int]] = []
        self.counts: list[PeopleCount] = []
        self.snapshots: list[str] = []

    def snapshot(self, camera: str, frame: Frame) -> None:
        self.snapshots.append(camera)

    def active(self, camera: str, running: dict[str, int]) -> None:
        self.actions.append(dict(running))

    def people(self, camera: str, people: PeopleCount) -> None:
        self.counts.append(people)


def session(name: str, feed: Any, announcer: Any = None) -> CameraSession:
    announcer = SilentAnnouncer() if announcer is None else announcer
    return CameraSession(name, feed, PipelineSettings(), announcer, lambda name: True)
