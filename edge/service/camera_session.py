"""Everything the daemon holds for one camera: its frames, its pipeline, what has been published of it. Shell."""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge import events, people_count, pipeline
from edge.cameras.feeds import Feed, LiveFeed
from edge.event_settings import EventSettings
from edge.inference import EngineError
from edge.people_count import PeopleCount
from edge.pipeline import FrameInput, PipelineSettings, PipelineState, StepResult
from edge.service.announcements import Announcer
from edge.sources import Frame

PEOPLE_SECONDS = 1.0  # between two messages about the people in front of a camera
FAILING_SECONDS = 5.0  # without a frame that could be processed, after which open events end
RECOVERY_FRAMES = 100  # processed in a row after a fault, until the camera counts as healthy again
NOBODY = PeopleCount(0, 0)

log = logging.getLogger(__name__)

AdmitFrame = Callable[[str], bool]  # admits or skips the next frame of a camera, by its name


class CameraSession:
    """One camera between two frames; for one thread."""

    def __init__(
        self, name: str, feed: Feed, settings: PipelineSettings, announcer: Announcer, admit_frame: AdmitFrame
    ) -> None:
        self.name, self.feed, self.settings = name, feed, settings
        self.frames = 0  # processed and published
        self.skipped = 0  # because of heat
        self.failed = 0  # whose processing raised an error
        self.failing = False  # recently
        self._announcer, self._admit_frame = announcer, admit_frame
        self._pipeline = _new_pipeline(name)
        self._state = ""  # last published
        self._active: Counter[str] | None = None  # last published: open events by action
        self._people: PeopleCount | None = None  # last published
        self._people_at = 0.0  # monotonic, s
        self._thresholds: EventSettings | None = None  # last published
        self._snapshot_requested = False
        self._good_in_a_row = 0  # frames processed since the last failure
        self._last_good_at = time.monotonic()  # monotonic, s
        self._publish_nobody()
        self.publish_thresholds()

    @property
    def stall_seconds(self) -> float:
        """Seconds without a frame after which the camera counts as stalled; 0 for a file."""
        return self.feed.camera.settings.stall_seconds if isinstance(self.feed, LiveFeed) else 0.0

    def next_input(self) -> FrameInput | None:
        """The newest frame with the state and settings to process it; None where there is none to process."""
        frame = None
        with self.isolating_faults():
            frame = self.feed.newest()
        if frame is None:
            return None
        if not self._admit_frame(self.name):
            self.skipped += 1
            return None
        return FrameInput(self._pipeline, frame, self.settings)

    @contextmanager
    def isolating_faults(self, frame: Frame | None = None) -> Iterator[None]:
        """Log and count any error that a frame of this camera raises inside; other cameras are not affected.

        EngineError passes through: it is not caused by a frame.
        """
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - of any library, about any image; logged with its traceback
            self._fail(frame, error)

    def handle_result(self, frame: Frame, state: PipelineState, result: StepResult) -> None:
        """Publish what follows from a frame."""
        with self.isolating_faults(frame):
            self._publish(frame, state, result)
            self._recover()

    def _publish(self, frame: Frame, state: PipelineState, result: StepResult) -> None:
        self._pipeline = state
        self._announcer.events(self.name, result.events, frame, self.feed.live)
        self._announcer.frame(frame, state.events, result, self.settings)
        if self._snapshot_requested:
            self._snapshot_requested = False
            self._announcer.snapshot(self.name, frame)
        self._publish_active(people_count.open_events_by_action(state.events))
        self._publish_people(people_count.count_people(state.events, result.tube_boxes, self._announcer.people_score))

    def publish_thresholds(self) -> None:
        """Publish the scores at which events begin and continue, where the settings have changed."""
        if self.settings.events != self._thresholds:
            self._thresholds = self.settings.events
            self._announcer.thresholds(self.name, self._thresholds)

    def request_snapshot(self) -> str | None:
        """Publish the next frame; the reason why that is impossible, or None."""
        if self.feed.state == "disabled":
            return f"camera {self.name} is switched off: switch it on with request/camera"
        if self.feed.state != "online":
            return f"camera {self.name} is {self.feed.state}: ask again when it is online"
        self._snapshot_requested = True
        return None

    def update_state(self) -> None:
        """Publish a change of the camera's state; open events end when it is no longer online."""
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

    def replace_feed(self, feed: Feed, reason: str = "camera") -> None:
        """Switch to another feed, ending the open events of the former one; a picture requested of it is not taken."""
        self.end_events(reason)
        self.feed.close()
        self.feed, self._pipeline = feed, _new_pipeline(self.name)
        self.failing = self._snapshot_requested = False

    def end_events(self, reason: str) -> None:
        """End all open events of this camera."""
        self._announcer.events(self.name, events.close(self._pipeline.events, self.feed.now(), reason))
        self._publish_nobody()

    def close(self, reason: str) -> None:
        """End the open events and close the camera."""
        self.end_events(reason)
        if self.feed.state != "disabled":
            self._announcer.camera_state(self.name, "offline")
        self.feed.close()

    def _fail(self, frame: Frame | None, error: Exception) -> None:
        """Skip a frame, and drop the motion state, which may be half overwritten."""
        self._pipeline = replace(self._pipeline, motion_states=())
        self.failed += 1
        self._good_in_a_row = 0
        if frame is None and not self.feed.live:
            self.feed.failed = True  # a file's reader is exhausted once it has raised
        if self.failing:
            return
        self.failing = True
        size = "a frame" if frame is None else f"a frame of {frame.image.shape[1]}x{frame.image.shape[0]}"
        log.error(
            "camera %s: %s could not be processed (%s: %s) and is skipped; later ones are only counted, as `failed`",
            self.name, size, type(error).__name__, " ".join(str(error).split()), exc_info=error,
        )  # fmt: skip

    def _recover(self) -> None:
        """Count a frame that was processed."""
        self.frames += 1
        self._good_in_a_row += 1
        self._last_good_at = time.monotonic()
        if self.failing and self._good_in_a_row >= RECOVERY_FRAMES:
            self.failing = False
            log.info("camera %s: its frames are processed again; %d have failed so far", self.name, self.failed)

    def _publish_active(self, by_action: Counter[str]) -> None:
        """Publish the open events by action, where they have changed."""
        if by_action != self._active:
            self._announcer.active(self.name, by_action)
            self._active = by_action

    def _publish_people(self, people: PeopleCount) -> None:
        """Publish the number of people, where it has changed, at most once a second."""
        now = time.monotonic()
        if people != self._people and now - self._people_at >= PEOPLE_SECONDS:
            self._announcer.people(self.name, people)
            self._people, self._people_at = people, now

    def _publish_nobody(self) -> None:
        """Publish that there is nobody; what an earlier run has retained may say otherwise."""
        self._publish_active(Counter())
        if self._people != NOBODY:
            self._announcer.people(self.name, NOBODY)
        self._people = NOBODY


def _new_pipeline(camera: str) -> PipelineState:
    """The pipeline of a camera before its first frame, with event ids unique to this run."""
    return pipeline.initial(camera, uuid.uuid4().hex)
