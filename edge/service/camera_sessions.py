"""The sessions of all configured cameras: opened, reconfigured and closed together. Shell."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack

from edge.cameras.feeds import DisabledFeed, Feed, close_feeds, open_feed, wait_for_frames
from edge.config.schema import CameraConfig
from edge.pipeline import FrameInput, PipelineSettings
from edge.service.announcements import Announcer
from edge.service.camera_session import AdmitFrame, CameraSession
from edge.service.round_robin import RoundRobin

Settings = Mapping[str, PipelineSettings]


class CameraSessions(Mapping[str, CameraSession]):
    """All sessions, by the camera's name."""

    def __init__(
        self, feeds: Mapping[str, Feed], settings: Settings, announcer: Announcer, admit_frame: AdmitFrame
    ) -> None:
        self._announcer, self._admit_frame = announcer, admit_frame
        self._sessions: dict[str, CameraSession] = {}
        self._add(feeds, settings)

    def __getitem__(self, name: str) -> CameraSession:
        return self._sessions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def finished(self) -> bool:
        """True where all cameras are files that have been played to the end."""
        return all(session.feed.finished for session in self.values())

    @property
    def failed(self) -> bool:
        """True where a file could not be played."""
        return any(session.feed.failed for session in self.values())

    def next_inputs(self, limit: int) -> list[tuple[CameraSession, FrameInput]]:
        """New frames of at most `limit` cameras; the one that has waited longest comes first."""
        return self._round_robin.next(limit)

    def update_states(self) -> None:
        """Publish changes of the cameras' states."""
        for session in self.values():
            session.update_state()

    def wait_for_frames(self, seconds: float) -> None:
        """Return when a live camera has a new frame, or after `seconds`."""
        wait_for_frames([session.feed for session in self.values()], seconds)

    def reconfigure(self, cameras: Mapping[str, CameraConfig], settings: Settings) -> None:
        """Open, change and close cameras as configured. Raises CaptureError, which leaves everything as it was."""
        feeds = open_feeds({name: camera for name, camera in cameras.items() if self._needs_opening(name, camera)})
        close_feeds(self[name].feed for name in self if name in feeds or name not in cameras)
        for name in self._sessions.keys() - cameras.keys():
            self._sessions.pop(name).close("camera")
            self._announcer.clear_retained(name)
        for name, session in self.items():
            if name in feeds:
                session.replace_feed(feeds.pop(name))
            else:
                session.feed.reconfigure(cameras[name])
            session.settings = settings[name]
            session.publish_thresholds()
        self._add(feeds, settings)

    def switch(self, name: str, camera: CameraConfig | None) -> None:
        """Open a camera, or switch it off where `camera` is None; nothing to do where it is so already.

        Raises CaptureError for one that cannot be opened, which stays off.
        """
        session = self[name]
        if (camera is None) == (session.feed.state == "disabled"):
            return
        if camera is None:
            session.replace_feed(DisabledFeed(name), "disabled")
        else:
            session.replace_feed(open_feed(name, camera))

    def close(self) -> None:
        """End all events and close the cameras, because the daemon stops."""
        close_feeds(session.feed for session in self.values())
        for session in self.values():
            session.close("shutdown")

    def _needs_opening(self, name: str, camera: CameraConfig) -> bool:
        return name not in self or not self[name].feed.can_reconfigure(camera)

    def _add(self, feeds: Mapping[str, Feed], settings: Settings) -> None:
        for name, feed in feeds.items():
            self._sessions[name] = CameraSession(name, feed, settings[name], self._announcer, self._admit_frame)
        self._round_robin = RoundRobin(self.values())


def open_feeds(cameras: Mapping[str, CameraConfig], disabled: Collection[str] = ()) -> dict[str, Feed]:
    """Open all these cameras but the `disabled` ones, or none. Raises CaptureError."""
    feeds: dict[str, Feed] = {}
    with ExitStack() as owned:
        for name, camera in cameras.items():
            feeds[name] = DisabledFeed(name) if name in disabled else open_feed(name, camera)
            owned.callback(feeds[name].close)
        owned.pop_all()
    return feeds
