"""Looks through one video and gives what it finds part by part, so that it can go on after the last one. Shell.

A part ends where no event is open, so each event is whole in one part. Whoever goes on with a video sees some seconds
before that once more, so as to know who is in the picture, and begins with the part's first frame to tell of events.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edge import events, pipeline
from edge.broker.payload import ModelIdentity, event_payload
from edge.cameras.image_transform import transformed
from edge.cameras.video_file import probe, read_file
from edge.config.config_file import state_directory
from edge.config.schema import Config
from edge.events import Event
from edge.files import sha256_of
from edge.history import tube_points
from edge.history.camera_records import CameraRecords
from edge.history.history_queue import KeptPicture, KeptPoints
from edge.history.unfinished import UnfinishedEvents
from edge.inference import Engine
from edge.manifest import Manifest
from edge.open_model import open_model
from edge.pipeline import PipelineState
from edge.service.settings import pipeline_settings, unknown_actions
from edge.sources import Frame

PART_FRAMES = 1500  # a part ends with the first quiet frame after so many
WARM_FRAMES, WARM_SECONDS = 250, 10.0  # at least, before a part that is gone on with: seen again; see `warm_frames`
REPORT_FRAMES = 100  # from one report of the progress to the next


@dataclass(frozen=True)
class SearchSettings:
    """What to look with: the configuration, and the camera in it whose zones, masks and thresholds apply."""

    config: Config
    camera: str


@dataclass(frozen=True, eq=False)
class IndexedEvent:
    """An event that was found. `payload`: its last step; `points`: its packed tube; `picture`: JPEG, or empty."""

    payload: dict[str, Any]
    points: bytes
    picture: bytes


@dataclass(frozen=True, eq=False)
class VideoPart:
    """Frames `first` to before `following` of a video, and the events in them. `ended`: no frame follows.

    `notes`: sentences about the file, such as that it is truncated.
    """

    first: int
    following: int
    ended: bool
    found: tuple[IndexedEvent, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FramesDone:
    """So many more frames have been looked at."""

    count: int


class VideoSearcher:
    """The opened model, ready to look through videos; a context manager."""

    def __init__(self, settings: SearchSettings) -> None:
        """Raises EngineError, AssetError."""
        self._settings, self._owned = settings, ExitStack()
        config = settings.config
        opened = open_model(config.model, state_directory(config.outbox), lambda text: None, lambda: None)
        self._engine: Engine = self._owned.enter_context(opened)
        self._pipeline = pipeline_settings(config, settings.camera, self._engine.manifest.start_scores)
        self._view = config.cameras[settings.camera].to_source()

    def __enter__(self) -> "VideoSearcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each configured action that the model does not know."""
        return unknown_actions(self._settings.config, self._engine.manifest.labels)

    @property
    def runtime(self) -> str:
        """What runs the model."""
        return self._engine.runtime

    @property
    def found_with(self) -> str:
        """A hash of all that decides what is found: model, thresholds, zones, masks. 16 hexadecimal digits."""
        view = (self._view.flip, self._view.rotation, self._view.mask)
        memory = "" if self._engine.memory is None else sha256_of(self._engine.memory.path)
        text = f"{self._engine.sha256} {memory} {self._pipeline!r} {view!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def parts(self, video: Path, identity: str, first: int = 0) -> Iterator[VideoPart | FramesDone]:
        """What is in the video from frame `first` on. `identity`: of its content. Raises CaptureError."""
        notes: list[str] = []
        part = _Part(self._settings, video.name, self._model, first)
        seed = f"{video} {identity} {self.found_with}"
        state = _beginning(pipeline.initial(video.name, ""), seed, first)
        frame: Frame | None = None
        warm = warm_frames(self._engine.manifest, probe(video).fps) if first else 0
        for frame in self._frames(video, max(0, first - warm), notes):
            state, result = pipeline.step(state, frame, self._engine, self._pipeline)
            if frame.index < first:
                state = _beginning(state, seed, first)
                continue
            part.add(frame, result.events, state.events)
            count = frame.index + 1 - part.first
            if count % REPORT_FRAMES == 0:
                yield FramesDone(REPORT_FRAMES)
            if count >= PART_FRAMES and not state.events.actions:
                yield FramesDone(count % REPORT_FRAMES)
                yield part.finished(frame.index + 1, ended=False)
                part = _Part(self._settings, video.name, self._model, frame.index + 1)
                state = _beginning(state, seed, frame.index + 1)
        if frame is not None:
            part.add(frame, events.close(state.events, frame.unix_time, "camera"), None)
        following = first if frame is None else max(first, frame.index + 1)
        yield FramesDone((following - part.first) % REPORT_FRAMES)
        yield replace(part.finished(following, ended=True), notes=tuple(notes))

    @property
    def _model(self) -> ModelIdentity:
        return ModelIdentity(self._engine.manifest.name, self._engine.sha256)

    def _frames(self, video: Path, first: int, notes: list[str]) -> Iterator[Frame]:
        for frame in read_file(video, video.name, notes.append):
            if frame.index >= first:
                yield replace(frame, image=transformed(frame.image, self._view))


def warm_frames(manifest: Manifest, rate: float) -> int:
    """How many frames of a video of `rate` a second to see again: for tubes, motion, a model's memory and its clips."""
    clip = manifest.clip
    seconds = max(WARM_SECONDS, clip.before / manifest.rate if clip else 0.0)
    return max(WARM_FRAMES, math.ceil(seconds * rate))


def _beginning(state: PipelineState, seed: str, first: int) -> PipelineState:
    """The state where a part begins: no event is open, and those to come have ids of their own."""
    return replace(state, events=replace(state.events, seed=f"{seed} {first}", published_count=0, actions={}))


class _Part:
    """What has been found since the last part."""

    def __init__(self, settings: SearchSettings, video: str, model: ModelIdentity, first: int) -> None:
        mqtt = settings.config.mqtt
        self.first, self._video, self._model = first, video, model
        self._device = settings.config.device.name
        self._records = CameraRecords(settings.config.history.pictures)
        self._unfinished = UnfinishedEvents(mqtt.snapshot_width, mqtt.snapshot_quality)
        self._pictures: dict[str, KeptPicture] = {}  # the best so far
        self._found: list[IndexedEvent] = []

    def add(self, frame: Frame, happened: Sequence[Event], state: events.EventState | None) -> None:
        for item in self._records.update(frame, state) if state is not None else ():
            if isinstance(item, KeptPoints):
                self._unfinished.add_points(item)
            elif isinstance(item, KeptPicture):
                self._pictures[item.event_id] = item
        for event in happened:
            if event.type == "end":
                self._found.append(self._indexed(event))

    def finished(self, following: int, ended: bool) -> VideoPart:
        return VideoPart(self.first, following, ended, tuple(self._found))

    def _indexed(self, event: Event) -> IndexedEvent:
        if event.event_id in self._pictures:
            self._unfinished.add_picture(self._pictures.pop(event.event_id))
        points, picture = self._unfinished.taken(event.event_id)
        payload = event_payload(event, self._device, self._video, self._model, event.t_capture)
        return IndexedEvent(payload, tube_points.packed(points), picture)
