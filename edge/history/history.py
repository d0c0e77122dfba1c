"""The history as the daemon has it: what happens goes in, nobody waits, and while it is disabled nothing is kept."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from edge import threads
from edge.config.config_file import state_directory
from edge.config.schema import Config, HistoryConfig
from edge.events import EventState
from edge.history.camera_records import CameraRecords
from edge.history.clip_recorder import ClipRecorder, ClipRecording
from edge.history.clip_ring import ClipLengths, FinishedClip
from edge.history.event_store import KeptStep, StoreLimits, store_path
from edge.history.history_queue import KeptClip
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
        self._clips: dict[str, ClipRecorder] = {}
        self._begin(config, first=True)

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration; what was kept so far is written in its own time. Raises ThreadError."""
        if (config.history, config.mqtt.snapshots) != (self._config.history, self._config.mqtt.snapshots):
            self.close(wait=False)
            self._begin(config, first=False)
        for name in self._clips.keys() - config.cameras.keys():
            self._clips.pop(name).close(wait=False)

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
        if self._config.history.clips:
            self._clips_of(frame.camera, self._recorder).frame(frame, open_events(state))

    def no_more_frames(self, camera: str) -> None:
        """A camera's events have ended because no more frames come."""
        if camera in self._clips:
            self._clips[camera].no_more()

    def payload(self) -> dict[str, object] | None:
        """What telemetry says of it; None while it is disabled."""
        if self._recorder is None:
            return None
        state = self._recorder.state
        usage = state.usage
        facts = {"events": usage.events, "clips": usage.clips, "bytes": usage.size, "lost": state.lost}
        return {**facts, "fault": state.fault}

    def close(self, wait: bool = True) -> None:
        """End clips and write what waits, for some seconds at most; not `wait`: in its own time."""
        if self._recorder is None:
            return
        ending = tuple(self._clips.values()), self._recorder
        self._recorder, self._clips = None, {}
        if wait:
            _close(*ending)
        else:
            threads.start("end of history", _close, *ending)

    def _clips_of(self, camera: str, recorder: Recorder) -> ClipRecorder:
        if camera not in self._clips:
            self._clips[camera] = ClipRecorder(camera, clip_settings(self._config.history), partial(_keep, recorder))
        return self._clips[camera]

    def _begin(self, config: Config, first: bool) -> None:
        self._config = config
        self._cameras = {}
        table = config.history
        if table.enabled:
            publish = table.publish_pictures and config.mqtt.snapshots
            self._recorder = Recorder(recorder_settings(config), self._publish_picture if publish else None, first)


def _keep(recorder: Recorder, clip: FinishedClip) -> None:
    recorder.queue.put(KeptClip(clip.event_id, clip.content, clip.start))


def _close(clips: Sequence[ClipRecorder], recorder: Recorder) -> None:
    """Clips first: they go into the store."""
    for one in clips:
        one.close(wait=False)
    for one in clips:
        one.close()
    recorder.close()


def open_events(state: EventState) -> dict[str, float]:
    """The open events, and when each began, monotonic, s."""
    return {one.event_id: one.first.monotonic for one in state.actions.values() if one.event_id}


def clip_settings(table: HistoryConfig) -> ClipRecording:
    """How the configuration has clips made."""
    return ClipRecording(
        ClipLengths(table.seconds_before, table.seconds_after, table.max_clip_seconds), table.clip_width
    )


def recorder_settings(config: Config) -> RecorderSettings:
    """Where and how much the configuration has kept."""
    table = config.history
    path = store_path(state_directory(config.outbox), config.device.name)
    limits = StoreLimits(table.max_age, table.max_bytes, table.max_events)
    return RecorderSettings(path, limits, config.mqtt.snapshot_width, config.mqtt.snapshot_quality)
