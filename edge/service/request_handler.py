"""The daemon's answers to requests over MQTT: an `edge.broker.requests.RequestHandler`. Shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.config import edit as config_edit
from edge.config import store as config_store
from edge.config.error_messages import suggestion
from edge.service.camera_sessions import CameraSessions
from edge.service.health import Health
from edge.service.reload import ReloadableConfig
from edge.service.settings import unknown_actions


@dataclass(frozen=True, eq=False)
class DaemonRequestHandler:
    """Answers requests to the daemon, between two frames."""

    running: ReloadableConfig
    sessions: CameraSessions
    daemon_health: Health

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
        if camera not in self.sessions:
            return f"no camera {camera[:64]}; {suggestion(camera[:64], list(self.sessions))}"
        return self.sessions[camera].request_snapshot()
