"""The history as the daemon has it: what happens goes in, nobody waits, and while it is disabled nothing is kept."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from edge import threads
from edge.config.config_file import state_directory
from edge.config.history import HistoryConfig
from edge.config.schema import Config
from edge.events import EventState
from edge.history import doubts
from edge.history.camera_records import CameraRecords
from edge.history.clip_names import PREFIX
from edge.history.clip_recorder import ClipRecorder, ClipRecording
from edge.history.clip_ring import ClipLengths, FinishedClip
from edge.history.doubts import DoubtState, Watched
from edge.history.event_store import KeptStep, StoreLimits
from edge.history.history_queue import KeptClip
from edge.history.recorder import PublishPicture, Recorder, RecorderSettings
from edge.history.store_files import store_path
from edge.history.stream_packets import can_be_copied
from edge.history.teaching_clips import TeachingClips, TeachingLimits
from edge.history.teaching_folder import teaching_folder
from edge.sources import Frame, Source
from edge.threads import ThreadError

log = logging.getLogger(__name__)


class History:
    """The event store behind the frame loop, for its thread alone."""

    def __init__(self, config: Config, publish_picture: PublishPicture) -> None:
        """`publish_picture`: where configured, is given each event's best picture, in another thread."""
        self._config, self._publish_picture = config, publish_picture
        self._opened = False  # since the daemon has started
        self._recorder: Recorder | None = None
        self._cameras: dict[str, CameraRecords] = {}
        self._clips: dict[str, ClipRecorder | None] = {}  # None where no thread could be started
        self._teaching: TeachingClips | None = None
        self._doubts: dict[str, DoubtState] = {}  # by camera
        self._begin(config)

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration; what was kept so far is written in its own time."""
        if _kept_by(config) != _kept_by(self._config):
            self.close(wait=False)
            self._begin(config)
        before, self._config = self._config, config
        for name in list(self._clips):
            if name in config.cameras and copied_stream(config, name) == copied_stream(before, name):
                continue
            if clips := self._clips.pop(name):  # from the next frame on nothing is copied that a mask hides
                clips.close(wait=False)

    def step(self, payload: Mapping[str, Any], at: float) -> None:
        """Keep a step of an event as it was published at `at` (unix, s)."""
        if self._recorder is not None:
            self._recorder.queue.put(KeptStep(payload, at))

    def frame(self, frame: Frame, state: EventState, watched: Watched | None = None) -> None:
        """Keep what is wanted of a frame; `state`: after it; `watched`: what doubts are found in."""
        wanted: dict[str, float] = {}
        if self._recorder is not None:
            records = self._cameras.setdefault(frame.camera, CameraRecords(self._config.history.pictures))
            for item in records.update(frame, state):
                self._recorder.queue.put(item)
            wanted |= open_events(state) if self._config.history.clips else {}
        if self._teaching is not None and watched is not None:
            wanted |= self._in_doubt(frame, watched, self._teaching)
        if self._teaching is not None or (self._recorder is not None and self._config.history.clips):
            clips = self._clips_of(frame.camera)
            if clips is not None:
                clips.frame(frame, wanted)

    def _in_doubt(self, frame: Frame, watched: Watched, teaching: TeachingClips) -> dict[str, float]:
        """What may be in doubt, by name; clips of what has ended in doubt are expected from now on."""
        state = self._doubts.get(frame.camera) or doubts.initial(frame.camera)
        self._doubts[frame.camera], decided = doubts.step(state, frame, watched)
        teaching.expect(decided)
        return doubts.open_moments(self._doubts[frame.camera])

    def no_more_frames(self, camera: str) -> None:
        """A camera's events have ended because no more frames come."""
        self._doubts.pop(camera, None)
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
        if self._recorder is None and self._teaching is None:
            return
        ending = tuple(filter(None, self._clips.values())), self._recorder
        self._recorder, self._teaching, self._clips, self._doubts = None, None, {}, {}
        if not wait:
            with suppress(ThreadError):  # then it takes the time of this one
                threads.start("end of history", _close, *ending)
                return
        _close(*ending)

    def _clips_of(self, camera: str) -> ClipRecorder | None:
        if camera not in self._clips:
            settings = replace(clip_settings(self._config.history), stream=copied_stream(self._config, camera))
            self._clips[camera] = None
            try:
                self._clips[camera] = ClipRecorder(camera, settings, partial(_keep, self._recorder, self._teaching))
            except ThreadError as error:
                log.error("camera %s: its events are kept without clips: %s", camera, error)
        return self._clips[camera]

    def _begin(self, config: Config) -> None:
        self._config = config
        self._cameras = {}
        table, teaching = config.history, config.teaching
        if teaching.keep:
            folder = teaching_folder(state_directory(config.outbox), config.device.name)
            self._teaching = TeachingClips(folder, TeachingLimits(teaching.max_clips, teaching.max_bytes))
        if table.enabled:
            publish = table.publish_pictures and config.mqtt.snapshots
            published = self._publish_picture if publish else None
            try:
                self._recorder = Recorder(recorder_settings(config), published, first=not self._opened)
                self._opened = True
            except ThreadError as error:
                log.error("history: events are published, but not kept: %s", error)


def _kept_by(config: Config) -> tuple[object, ...]:
    """The settings that decide what is kept."""
    return config.history, config.teaching, config.mqtt.snapshots


def _keep(recorder: Recorder | None, teaching: TeachingClips | None, clip: FinishedClip) -> None:
    """Clips of events go to the store, the others to the folder for teaching."""
    if clip.event_id.startswith(PREFIX):
        if teaching is not None:
            teaching.keep(clip)
    elif recorder is not None:
        recorder.queue.put(KeptClip(clip.event_id, clip.content, clip.start))


def _close(clips: Sequence[ClipRecorder], recorder: Recorder | None) -> None:
    """Clips first: they go into the store."""
    for one in clips:
        one.close(wait=False)
    for one in clips:
        one.close()
    if recorder is not None:
        recorder.close()


def open_events(state: EventState) -> dict[str, float]:
    """The open events, and when each began, monotonic, s."""
    return {one.event_id: one.first.monotonic for one in state.actions.values() if one.event_id}


def clip_settings(table: HistoryConfig) -> ClipRecording:
    """How the configuration has clips made."""
    return ClipRecording(
        ClipLengths(table.seconds_before, table.seconds_after, table.max_clip_seconds), table.clip_width
    )


def copied_stream(config: Config, camera: str) -> Source | None:
    """The source whose own H.264 may become a camera's clips; None where its frames are to be encoded."""
    if not config.history.copy_streams or camera not in config.cameras:
        return None
    source = config.cameras[camera].to_source()
    return source if can_be_copied(source) else None


def recorder_settings(config: Config) -> RecorderSettings:
    """Where and how much the configuration has kept."""
    table = config.history
    path = store_path(state_directory(config.outbox), config.device.name)
    limits = StoreLimits(table.max_age, table.max_bytes, table.max_events)
    return RecorderSettings(path, limits, config.mqtt.snapshot_width, config.mqtt.snapshot_quality)
