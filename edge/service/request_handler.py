"""The daemon's answers to requests over MQTT: an `edge.broker.requests.RequestHandler`. Shell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.config import edit as config_edit
from edge.config import store as config_store
from edge.config.problems import nearest
from edge.config.schema import Config
from edge.service.camera_session import CameraSession
from edge.service.settings import unknown_actions


@dataclass(frozen=True, eq=False)
class DaemonRequestHandler:
    """What the daemon can be asked, between two frames. `path`: of the configuration, None where there is no file."""

    path: Path | None
    labels: Sequence[str]
    running: Callable[[], Config]
    sessions: Callable[[], Mapping[str, CameraSession]]
    health: Callable[[], Mapping[str, object]]
    reload_file: Callable[[str], Sequence[str]]  # by whom it is requested → the file's problems

    def configuration(self) -> Mapping[str, object]:
        """The configuration in force, secrets left out."""
        return config_edit.redacted(self.running())

    def store(self, changes: Mapping[str, object]) -> Sequence[str]:
        """Write changes into the file and put them in force; their problems."""
        if self.path is None:
            return ("this device runs without a configuration file: start it with --config",)
        problems = config_store.store(self.path, changes, lambda wanted: unknown_actions(wanted, self.labels))
        return problems or self.reload_file("a request over MQTT (config-set)")

    def reload(self) -> Sequence[str]:
        """Put the file in force as it is now; its problems."""
        return self.reload_file("a request over MQTT (reload)")

    def snapshot(self, camera: str) -> str | None:
        """Publish this camera's next frame; why not, or None."""
        sessions = self.sessions()
        if camera not in sessions:
            return f"no camera {camera[:64]}; {nearest(camera[:64], list(sessions))}"
        return sessions[camera].request_snapshot()
