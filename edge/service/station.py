"""One camera of the daemon: its frames, what is known of the people in front of it, what has been told of it. Shell."""

import time
import uuid
from collections.abc import Callable, Iterable

from edge import events, pipeline
from edge.cameras.feeds import Feed, LiveFeed
from edge.pipeline import CameraState, PipelineSettings, Step, Turn
from edge.schema import Camera
from edge.service.teller import Teller
from edge.sources import Frame

ACTIVE_SECONDS = 1.0  # between two messages about a camera's live tubes

Admits = Callable[[str], bool]


class Station:
    """A camera between two frames. For one thread."""

    def __init__(self, name: str, feed: Feed, settings: PipelineSettings, teller: Teller, admits: Admits) -> None:
        """`admits`: whether this camera's next frame is to be looked at."""
        self.name, self.feed, self.settings = name, feed, settings
        self.frames = 0  # that went through the pipeline
        self.seen = 0  # these, and those that were left out because of heat
        self._teller, self._admits = teller, admits
        self._pipeline = _fresh(name)
        self._state = ""  # last told
        self._active: tuple[int, ...] | None = None  # last told: the label of each live tube
        self._active_at = 0.0  # monotonic, s
        self._picture_wanted = False

    @property
    def patience(self) -> float:
        """Seconds without a frame after which the camera is lost; 0 for a file."""
        return self.feed.camera.settings.stall_seconds if isinstance(self.feed, LiveFeed) else 0.0

    def turn(self) -> Turn | None:
        """The newest frame with all that it takes to make something of it; None where there is none to be looked at."""
        frame = self.feed.newest()
        if frame is None:
            return None
        self.seen += 1
        return Turn(self._pipeline, frame, self.settings) if self._admits(self.name) else None

    def took(self, frame: Frame, state: CameraState, step: Step) -> None:
        """Tell what became of a frame."""
        self._pipeline = state
        self.frames += 1
        self._teller.events(self.name, step.events, frame, self.feed.live)
        if self._picture_wanted:
            self._picture_wanted = False
            self._teller.picture(self.name, frame)
        self._tell_active(tuple(sorted(tube_box.label for tube_box in step.tube_boxes)))

    def want_picture(self) -> str | None:
        """Publish the next frame; why there will be none, or None."""
        if self.feed.state != "online":
            return f"camera {self.name} is {self.feed.state}: ask again when it is online"
        self._picture_wanted = True
        return None

    def look_after(self) -> None:
        """Tell a change of the camera's state; what goes on in front of a camera that goes away has ended."""
        state = self.feed.state
        if state == self._state:
            return
        self._teller.camera_state(self.name, state)
        if self._state == "online":
            self.end_events("camera")
            self._pipeline = _fresh(self.name)
        self._state = state

    def adopt(self, camera: Camera, settings: PipelineSettings) -> bool:
        """Take a changed configuration over; False where the camera must be opened anew for it."""
        if not self.feed.adopt(camera):
            return False
        self.settings = settings
        return True

    def reopen(self, feed: Feed, settings: PipelineSettings) -> None:
        """Go on with another feed: what went on in front of the former one has ended."""
        self.end_events("camera")
        self.feed.close()
        self.feed, self.settings, self._pipeline = feed, settings, _fresh(self.name)

    def end_events(self, reason: str) -> None:
        """Nothing goes on in front of this camera any more."""
        self._teller.events(self.name, events.close(self._pipeline.events, self.feed.now(), reason))
        if self._active:
            self._teller.active(self.name, ())
        self._active = None

    def close(self, reason: str) -> None:
        """End the events and the camera."""
        self.end_events(reason)
        self._teller.camera_state(self.name, "offline")
        self.feed.close()

    def _tell_active(self, labels: tuple[int, ...]) -> None:
        """How many tubes are live, where that has changed, at most once a second."""
        now = time.monotonic()
        if labels != self._active and now - self._active_at >= ACTIVE_SECONDS:
            self._teller.active(self.name, labels)
            self._active, self._active_at = labels, now


class Rota:
    """Whose turn it is: cameras take turns, so that none waits for ever, however fast the others are."""

    def __init__(self, stations: Iterable[Station]) -> None:
        self._order = list(stations)

    def next(self, most: int) -> list[tuple[Station, Turn]]:
        """New frames of at most so many cameras; who has waited longest since its last comes first."""
        taken: list[tuple[Station, Turn]] = []
        for station in self._order:
            if len(taken) == most:
                break
            turn = station.turn()
            if turn is not None:
                taken.append((station, turn))
        served = {id(station) for station, _ in taken}
        self._order.sort(key=lambda station: id(station) in served)  # stable: the others keep their places
        return taken


def _fresh(camera: str) -> CameraState:
    """A camera's pipeline before its first frame, with event ids that no other run has."""
    return pipeline.initial(camera, uuid.uuid4().hex)
