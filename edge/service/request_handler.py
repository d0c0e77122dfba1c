"""The daemon's answers to requests over MQTT: an `edge.broker.requests.RequestHandler`. Shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.broker.requests import RequestError
from edge.cameras.video_file import CaptureError
from edge.config import edit as config_edit
from edge.config import store as config_store
from edge.config.error_messages import suggestion
from edge.service.camera_sessions import CameraSessions
from edge.service.camera_switches import CameraSwitches
from edge.service.health import Health
from edge.service.reload import ReloadableConfig
from edge.service.settings import unknown_actions


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
        path, labels = self.running.path, self.running.labels
        if path is None:
            return ("this device runs without a configuration file: start it with --config",)
        problems = config_store.store(path, changes, lambda new: unknown_actions(new, labels))
        return problems or self.running.reload("a request over MQTT (config-set)", quiet=True)

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

    def _unknown(self, camera: str) -> str | None:
        """A sentence where there is no such camera."""
        if camera in self.sessions:
            return None
        return f"no camera {camera[:64]}; {suggestion(camera[:64], list(self.sessions))}"
