"""The history as the daemon has it: what happens goes in, nobody waits, and while it is disabled nothing is kept."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
from edge.threads import ThreadError

log = logging.getLogger(__name__)


class History:
    """The event store behind the frame loop, for its thread alone."""

    def __init__(self, config: Config, publish_picture: PublishPicture) -> None:
        """`publish_picture`: where configured, is given each event's best picture, in another thread."""
        self._publish_picture = publish_picture
        self._opened = False  # since the daemon has started
        self._recorder: Recorder | None = None
        self._cameras: dict[str, CameraRecords] = {}
        self._clips: dict[str, ClipRecorder | None] = {}  # None where no thread could be started
        self._begin(config)

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration; what was kept so far is written in its own time."""
        if (config.history, config.mqtt.snapshots) != (self._config.history, self._config.mqtt.snapshots):
            self.close(wait=False)
            self._begin(config)
        for name in self._clips.keys() - config.cameras.keys():
            if clips := self._clips.pop(name):
                clips.close(wait=False)

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
            clips = self._clips_of(frame.camera, self._recorder)
            if clips is not None:
                clips.frame(frame, open_events(state))

    def no_more_frames(self, camera: str) -> None:
        """A camera's events have ended because no more frames come."""
        if clips := self._clips.get(camera):
            clips.no_more()

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
        ending = tuple(filter(None, self._clips.values())), self._recorder
        self._recorder, self._clips = None, {}
        if not wait:
            with suppress(ThreadError):  # then it takes the time of this one
                threads.start("end of history", _close, *ending)
                return
        _close(*ending)

    def _clips_of(self, camera: str, recorder: Recorder) -> ClipRecorder | None:
        if camera not in self._clips:
            settings = clip_settings(self._config.history)
            self._clips[camera] = None
            try:
                self._clips[camera] = ClipRecorder(camera, settings, partial(_keep, recorder))
            except ThreadError as error:
                log.error("camera %s: its events are kept without clips: %s", camera, error)
        return self._clips[camera]

    def _begin(self, config: Config) -> None:
        self._config = config
        self._cameras = {}
        table = config.history
        if table.enabled:
            publish = table.publish_pictures and config.mqtt.snapshots
            published = self._publish_picture if publish else None
            try:
                self._recorder = Recorder(recorder_settings(config), published, first=not self._opened)
                self._opened = True
            except ThreadError as error:
                log.error("history: events are published, but not kept: %s", error)


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
