"""The frames of one configured camera, live, from a file or switched off, behind one interface for the daemon. Shell.

A feed has a `name`, a `state`, `counts()`, and `newest()`, which does not wait. It is `finished` when no frame will
ever come again, and `failed` where the file is at fault. `can_reconfigure`: whether a changed configuration can be
applied without reopening, which `reconfigure` does.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from edge.cameras.camera_log import CameraState
from edge.cameras.image_transform import transformed
from edge.cameras.live_camera import CameraCounts, LiveCamera, LiveSettings, close_cameras, wait_for_any
from edge.cameras.video_file import CaptureError, read_file
from edge.config.schema import CameraConfig
from edge.sources import Frame, Source

FeedState = CameraState | Literal["disabled"]

log = logging.getLogger(__name__)


class FileFeed:
    """Every frame of a video file in order, as fast as they are taken. After the last one the camera stays offline.

    Frames are given the time of opening plus their time in the file, as if a camera had captured them from then on.
    """

    def __init__(self, name: str, source: Source) -> None:
        """Raises CaptureError for a file that cannot be opened."""
        self.name = name
        self.live = False
        self.finished = self.failed = False
        self._source, self._taken = source, 0
        self._frames: Iterator[Frame] = read_file(source.target, name)
        self._opened_unix, self._opened_monotonic = time.time(), time.monotonic()
        self._last = self._opened_unix

    @property
    def state(self) -> CameraState:
        """`online` until the last frame."""
        return "offline" if self.finished else "online"

    def newest(self) -> Frame | None:
        """The next frame; None at the end, and where the file turns out to be damaged, which is logged."""
        try:
            frame = next(self._frames, None)
        except CaptureError as error:
            log.error("camera %s: %s", self.name, error)
            frame = None
            self.failed = True
        if frame is None:
            self.finished = True
            return None
        self._taken += 1
        self._last = self._opened_unix + frame.unix_time
        monotonic_time = self._opened_monotonic + frame.monotonic_time
        image = transformed(frame.image, self._source)
        return replace(frame, unix_time=self._last, monotonic_time=monotonic_time, image=image)

    def counts(self) -> CameraCounts:
        """Frames so far: none is dropped."""
        return CameraCounts(self._taken, self._taken, 0, 0, 0)

    def can_reconfigure(self, camera: CameraConfig) -> bool:
        """Whether this configuration can be applied without reopening the file."""
        return _differ_in_mask_only(camera.to_source(), self._source)

    def reconfigure(self, camera: CameraConfig) -> None:
        """Apply a configuration for which `can_reconfigure`."""
        self._source = camera.to_source()

    def now(self) -> float:
        """The time of the newest frame."""
        return self._last

    def close(self) -> None:
        """Nothing to do: the file is closed with its last frame."""


class LiveFeed:
    """A live camera's newest frame, without waiting; it never finishes."""

    def __init__(self, name: str, source: Source, settings: LiveSettings) -> None:
        self.name = name
        self.live = True
        self.finished = self.failed = False
        self.camera = LiveCamera(name, source, settings)

    @property
    def state(self) -> CameraState:
        """The camera's state."""
        return self.camera.state

    def counts(self) -> CameraCounts:
        """Frames and faults so far."""
        return self.camera.counts()

    def can_reconfigure(self, camera: CameraConfig) -> bool:
        """Whether this configuration can be applied without reopening the camera."""
        return _differ_in_mask_only(camera.to_source(), self.camera.source)

    def reconfigure(self, camera: CameraConfig) -> None:
        """Apply a configuration for which `can_reconfigure`."""
        mask = camera.to_source().mask
        if mask != self.camera.source.mask:
            self.camera.mask(mask)
        self.camera.settings = live_settings(camera)

    def newest(self) -> Frame | None:
        """The newest frame not taken yet."""
        return self.camera.newest(0.0)

    def now(self) -> float:
        """The time of day."""
        return time.time()

    def close(self) -> None:
        """End the capture process, which releases the camera."""
        self.camera.close()


class DisabledFeed:
    """A camera that is switched off: nothing is opened, no frame ever comes, and it never finishes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.live = False
        self.finished = self.failed = False

    @property
    def state(self) -> FeedState:
        """It is switched off."""
        return "disabled"

    def newest(self) -> Frame | None:
        """No frame."""
        return None

    def counts(self) -> CameraCounts:
        """No frames."""
        return CameraCounts(0, 0, 0, 0, 0)

    def can_reconfigure(self, camera: CameraConfig) -> bool:
        """Any configuration applies once it is switched on."""
        return True

    def reconfigure(self, camera: CameraConfig) -> None:
        """Nothing to do."""

    def now(self) -> float:
        """The time of day."""
        return time.time()

    def close(self) -> None:
        """Nothing to do."""


Feed = FileFeed | LiveFeed | DisabledFeed


def _differ_in_mask_only(one: Source, other: Source) -> bool:
    return replace(one, mask=()) == replace(other, mask=())


def open_feed(name: str, camera: CameraConfig) -> Feed:
    """The feed of a configured camera. Raises CaptureError for a file that cannot be opened."""
    source = camera.to_source()
    return LiveFeed(name, source, live_settings(camera)) if source.live else FileFeed(name, source)


def live_settings(camera: CameraConfig) -> LiveSettings:
    """When this camera is considered lost."""
    return LiveSettings(stall_seconds=camera.stall_seconds)


def close_feeds(feeds: Iterable[Feed]) -> None:
    """Close them all at the same time, which takes no longer than closing the slowest."""
    close_cameras([feed.camera for feed in feeds if isinstance(feed, LiveFeed)])


def wait_for_frames(feeds: Iterable[Feed], seconds: float) -> None:
    """Return when a live camera has a frame or a fault, or after `seconds`."""
    wait_for_any([feed.camera for feed in feeds if isinstance(feed, LiveFeed)], seconds)
