"""The history as the daemon has it: what happens goes in, nobody waits, and while it is disabled nothing is kept."""

from collections.abc import Mapping
from typing import Any

from edge.config.config_file import state_directory
from edge.config.schema import Config
from edge.events import EventState
from edge.history.camera_records import CameraRecords
from edge.history.event_store import KeptStep, StoreLimits, store_path
from edge.history.recorder import PublishPicture, Recorder, RecorderSettings
from edge.sources import Frame


class History:
    """The event store behind the frame loop, for its thread alone."""

    def __init__(self, config: Config, publish_picture: PublishPicture) -> None:
        """`publish_picture`: where configured, is given each event's best picture, in another thread.

        Raises ThreadError.
        """
        self._publish_picture = publish_picture
        self._recorder: Recorder | None = None
        self._cameras: dict[str, CameraRecords] = {}
        self._begin(config, first=True)

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration; what was kept so far is written in its own time. Raises ThreadError."""
        if (config.history, config.mqtt.snapshots) != (self._config.history, self._config.mqtt.snapshots):
            self.close(wait=False)
            self._begin(config, first=False)

    def step(self, payload: Mapping[str, Any], at: float) -> None:
        """Keep a step of an event as it was published at `at` (unix, s)."""
        if self._recorder is not None:
            self._recorder.queue.put(KeptStep(payload, at))

    def frame(self, frame: Frame, state: EventState) -> None:
        """Keep what is wanted of a frame; `state`: after it."""
        if self._recorder is None:
            return
        records = self._cameras.setdefault(frame.camera, CameraRecords(self._config.history.pictures))
        for item in records.update(frame, state):
            self._recorder.queue.put(item)

    def payload(self) -> dict[str, object] | None:
        """What telemetry says of it; None while it is disabled."""
        if self._recorder is None:
            return None
        state = self._recorder.state
        usage = state.usage
        facts = {"events": usage.events, "clips": usage.clips, "bytes": usage.size, "lost": state.lost}
        return {**facts, "fault": state.fault}

    def close(self, wait: bool = True) -> None:
        """Write what waits, for some seconds at most."""
        if self._recorder is not None:
            self._recorder.close(wait)
            self._recorder = None

    def _begin(self, config: Config, first: bool) -> None:
        self._config = config
        self._cameras = {}
        table = config.history
        if table.enabled:
            publish = table.publish_pictures and config.mqtt.snapshots
            self._recorder = Recorder(recorder_settings(config), self._publish_picture if publish else None, first)


def recorder_settings(config: Config) -> RecorderSettings:
    """Where and how much the configuration has kept."""
    table = config.history
    path = store_path(state_directory(config.outbox), config.device.name)
    limits = StoreLimits(table.max_age, table.max_bytes, table.max_events)
    return RecorderSettings(path, limits, config.mqtt.snapshot_width, config.mqtt.snapshot_quality)
