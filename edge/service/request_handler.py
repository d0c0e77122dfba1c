"""The daemon's answers to requests over MQTT: an `edge.broker.requests.RequestHandler`. Shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.broker.requests import RequestError
from edge.cameras.video_file import CaptureError
from edge.config import edit as config_edit
from edge.config.config_file import state_directory
from edge.config.error_messages import suggestion
from edge.history import teaching_pieces
from edge.history.teaching_folder import teaching_folder
from edge.service.camera_sessions import CameraSessions
from edge.service.camera_switches import CameraSwitches
from edge.service.health import Health
from edge.service.reload import ReloadableConfig


@dataclass(frozen=True, eq=False)
class DaemonRequestHandler:
    """Answers requests to the daemon, between two frames."""

    running: ReloadableConfig
    sessions: CameraSessions
    daemon_health: Health
    switches: CameraSwitches

    def health(self) -> Mapping[str, object]:
        """The daemon's health."""
        return self.daemon_health.health_payload(self.sessions)

    def configuration(self) -> Mapping[str, object]:
        """The configuration in force, without secrets."""
        return config_edit.redacted(self.running.config)

    def store(self, changes: Mapping[str, object]) -> Sequence[str]:
        """Write changes to the file and reload it; the problems."""
        return self.running.save(changes, "a request over MQTT (config-set)")

    def reload(self) -> Sequence[str]:
        """Reload the file; its problems."""
        return self.running.reload("a request over MQTT (reload)", quiet=True)

    def snapshot(self, camera: str) -> str | None:
        """Publish this camera's next frame; the reason why that is impossible, or None."""
        return self._unknown(camera) or self.sessions[camera].request_snapshot()

    def switch_camera(self, camera: str, enabled: bool) -> Mapping[str, object]:
        """Switch a camera on or off, also for later runs; its new state. RequestError where it cannot be opened."""
        if fault := self._unknown(camera):
            raise RequestError(fault)
        try:
            self.sessions.switch(camera, self.running.config.cameras[camera] if enabled else None)
        except CaptureError as error:
            raise RequestError(str(error)) from None
        return {"camera": camera, "enabled": enabled, "kept": self.switches.switch(camera, enabled)}

    def clips(self, after: str) -> Mapping[str, object]:
        """Which clips to teach with there are. RequestError where [teaching] does not allow to fetch them."""
        return teaching_pieces.listed(self._teaching_folder(), after)

    def clip(self, name: str, offset: int, length: int) -> Mapping[str, object]:
        """A piece of one of them. RequestError where there is none, or that is not allowed."""
        return teaching_pieces.piece(self._teaching_folder(), name, offset, length)

    def _teaching_folder(self) -> Path:
        config = self.running.config
        if not config.teaching.allow_fetch:
            raise RequestError("fetching clips is not allowed: set [teaching] allow_fetch = true")
        return teaching_folder(state_directory(config.outbox), config.device.name)

    def _unknown(self, camera: str) -> str | None:
        """A sentence where there is no such camera."""
        if camera in self.sessions:
            return None
        return f"no camera {camera[:64]}; {suggestion(camera[:64], list(self.sessions))}"
