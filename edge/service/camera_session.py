"""One camera of the daemon: its frames, what is known of the people in front of it, what has been told of it. Shell."""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge import events, pipeline, presence
from edge.cameras.feeds import Feed, LiveFeed
from edge.config.schema import CameraConfig
from edge.inference import EngineError
from edge.pipeline import FrameInput, PipelineSettings, PipelineState, StepResult
from edge.presence import PeopleCount
from edge.service.announcements import Announcer
from edge.sources import Frame

PEOPLE_SECONDS = 1.0  # between two messages about the people in front of a camera
FAILING_SECONDS = 5.0  # without a frame that could be processed, after which open events have ended
RECOVERY_FRAMES = 100  # processed in a row after a fault, for the camera to count as sound again
NOBODY = PeopleCount(0, 0)

log = logging.getLogger(__name__)

Admits = Callable[[str], bool]


class CameraSession:
    """A camera between two frames. For one thread."""

    def __init__(self, name: str, feed: Feed, settings: PipelineSettings, announcer: Announcer, admits: Admits) -> None:
        """`admits`: whether this camera's next frame is to be looked at."""
        self.name, self.feed, self.settings = name, feed, settings
        self.frames = 0  # that went through the pipeline, and were told of
        self.skipped = 0  # that were left out because of heat
        self.failed = 0  # whose processing raised
        self.failing = False  # that has happened lately
        self._announcer, self._admits = announcer, admits
        self._pipeline = _new_pipeline(name)
        self._state = ""  # last told
        self._active: Counter[str] | None = None  # last told: running events by action
        self._people: PeopleCount | None = None  # last told
        self._people_at = 0.0  # monotonic, s
        self._snapshot_requested = False
        self._good_in_a_row = 0  # frames processed since the last that failed
        self._last_good_at = time.monotonic()  # when the last one was
        self._publish_nobody()

    @property
    def stall_seconds(self) -> float:
        """Seconds without a frame after which the camera is lost; 0 for a file."""
        return self.feed.camera.settings.stall_seconds if isinstance(self.feed, LiveFeed) else 0.0

    def next_input(self) -> FrameInput | None:
        """The newest frame with all that it takes to make something of it; None where there is none to be looked at."""
        frame = None
        with self.isolating_faults():
            frame = self.feed.newest()
        if frame is None:
            return None
        if not self._admits(self.name):
            self.skipped += 1
            return None
        return FrameInput(self._pipeline, frame, self.settings)

    @contextmanager
    def isolating_faults(self, frame: Frame | None = None) -> Iterator[None]:
        """Whatever a frame of this camera raises in here ends there: it is told and counted, the others go on.

        EngineError passes: that is no fault of a frame.
        """
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - any library's, over any picture; told with its traceback
            self._fail(frame, error)

    def handle_result(self, frame: Frame, state: PipelineState, step: StepResult) -> None:
        """Tell what became of a frame."""
        with self.isolating_faults(frame):
            self._publish(frame, state, step)
            self._recover()

    def _publish(self, frame: Frame, state: PipelineState, step: StepResult) -> None:
        self._pipeline = state
        self._announcer.events(self.name, step.events, frame, self.feed.live)
        if self._snapshot_requested:
            self._snapshot_requested = False
            self._announcer.snapshot(self.name, frame)
        self._publish_active(presence.open_events_by_action(state.events))
        self._publish_people(presence.count_people(state.events, step.tube_boxes, self._announcer.people_score))

    def request_snapshot(self) -> str | None:
        """Publish the next frame; why there will be none, or None."""
        if self.feed.state != "online":
            return f"camera {self.name} is {self.feed.state}: ask again when it is online"
        self._snapshot_requested = True
        return None

    def update_state(self) -> None:
        """Tell a change of the camera's state; what goes on in front of a camera that goes away has ended."""
        if self.failing and any(self._pipeline.frame_size) and time.monotonic() - self._last_good_at > FAILING_SECONDS:
            self.end_events("camera")
            self._pipeline = _new_pipeline(self.name)
        state = self.feed.state
        if state == self._state:
            return
        self._announcer.camera_state(self.name, state)
        if self._state == "online":
            self.end_events("camera")
            self._pipeline = _new_pipeline(self.name)
        self._state = state

    def adopt(self, camera: CameraConfig, settings: PipelineSettings) -> bool:
        """Take a changed configuration over; False where the camera must be opened anew for it."""
        if not self.feed.adopt(camera):
            return False
        self.settings = settings
        return True

    def replace_feed(self, feed: Feed, settings: PipelineSettings) -> None:
        """Go on with another feed: what went on in front of the former one has ended."""
        self.end_events("camera")
        self.feed.close()
        self.feed, self.settings, self._pipeline = feed, settings, _new_pipeline(self.name)

    def end_events(self, reason: str) -> None:
        """Nothing goes on in front of this camera any more."""
        self._announcer.events(self.name, events.close(self._pipeline.events, self.feed.now(), reason))
        self._publish_nobody()

    def close(self, reason: str) -> None:
        """End the events and the camera."""
        self.end_events(reason)
        self._announcer.camera_state(self.name, "offline")
        self.feed.close()

    def _fail(self, frame: Frame | None, error: Exception) -> None:
        """Leave a frame out; what the network remembers of the frames before may be half overwritten."""
        self._pipeline = replace(self._pipeline, motion_state=None)
        self.failed += 1
        self._good_in_a_row = 0
        if frame is None and not self.feed.live:
            self.feed.failed = True  # a file's reader that has raised gives no more
        if self.failing:
            return
        self.failing = True
        size = "a frame" if frame is None else f"a frame of {frame.image.shape[1]}x{frame.image.shape[0]}"
        log.error(
            "camera %s: %s could not be processed (%s: %s) and is left out; all others like it are counted as `failed`",
            self.name, size, type(error).__name__, " ".join(str(error).split()), exc_info=error,
        )  # fmt: skip

    def _recover(self) -> None:
        """Count a frame that went well."""
        self.frames += 1
        self._good_in_a_row += 1
        self._last_good_at = time.monotonic()
        if self.failing and self._good_in_a_row >= RECOVERY_FRAMES:
            self.failing = False
            log.info("camera %s: its frames are processed again; %d were left out so far", self.name, self.failed)

    def _publish_active(self, running: Counter[str]) -> None:
        """How many events are running, where that has changed."""
        if running != self._active:
            self._announcer.active(self.name, running)
            self._active = running

    def _publish_people(self, people: PeopleCount) -> None:
        """Who is there, where that has changed, at most once a second."""
        now = time.monotonic()
        if people != self._people and now - self._people_at >= PEOPLE_SECONDS:
            self._announcer.people(self.name, people)
            self._people, self._people_at = people, now

    def _publish_nobody(self) -> None:
        """Nobody is seen any more, or not yet: what the last run has left at the broker may say otherwise."""
        self._publish_active(Counter())
        if self._people != NOBODY:
            self._announcer.people(self.name, NOBODY)
        self._people = NOBODY


class RoundRobin:
    """Whose turn it is: cameras take turns, so that none waits for ever, however fast the others are."""

    def __init__(self, sessions: Iterable[CameraSession]) -> None:
        self._order = list(sessions)

    def next(self, most: int) -> list[tuple[CameraSession, FrameInput]]:
        """New frames of at most so many cameras; who has waited longest since its last comes first."""
        taken: list[tuple[CameraSession, FrameInput]] = []
        for session in self._order:
            if len(taken) == most:
                break
            turn = session.next_input()
            if turn is not None:
                taken.append((session, turn))
        served = {id(session) for session, _ in taken}
        self._order.sort(key=lambda session: id(session) in served)  # stable: the others keep their places
        return taken


def _new_pipeline(camera: str) -> PipelineState:
    """A camera's pipeline before its first frame, with event ids that no other run has."""
    return pipeline.initial(camera, uuid.uuid4().hex)
