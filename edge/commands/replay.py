"""`korsal-edge replay`: runs a video file through the pipeline; prints or writes events, draws an annotated video.

Deterministic: the same file, model and settings give the same bytes. Times count from the file's beginning (1970 in
UTC), and an event is published at the moment of its frame, so that `latency_ms` is 0.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from edge import events, pipeline
from edge.broker import topics
from edge.broker.payload import ModelIdentity, event_payload
from edge.cameras.frame_times import MAX_GAP
from edge.cameras.image_transform import transformed
from edge.cameras.video_file import CaptureError, probe, read_file
from edge.config.config_file import ConfigError, load, state_directory
from edge.config.schema import CameraConfig, Config, ModelConfig
from edge.detector import invalid_outputs_message
from edge.events import Event
from edge.files import sha256_of
from edge.inference import Engine, LoadedEngine
from edge.open_model import open_at_terminal
from edge.pipeline import PipelineSettings, PipelineState, StepResult
from edge.service.settings import pipeline_settings, unknown_actions
from edge.sources import Frame, Source, parse
from edge.terminal import progress
from edge.tiles import Tiling
from edge.video.annotated_frame import OverlayStyle
from edge.video.annotated_video import AnnotatedVideo
from edge.video.motion_inset import InsetPosition

PipelineOutput = tuple[Frame, StepResult, PipelineState]  # as `pipeline.run` yields it
EventSink = Callable[[Sequence[Event]], None]
INTERRUPTED = 130  # exit status after Ctrl-C, as in shells


class ReplayError(Exception):
    """A result that cannot be written; the message names it and the remedy."""


@dataclass(frozen=True, eq=False)
class ReplaySession:
    """A video file, the opened model and the settings to run it with; a context manager that closes the engine.

    `device` and `camera` are the names in the events, `view` is how the camera transforms frames. `people_score`: from
    this score on a person without an event is drawn.
    """

    source: Path
    opened: LoadedEngine
    settings: PipelineSettings
    people_score: float
    device: str
    camera: str
    view: Source

    @property
    def engine(self) -> Engine:
        """The model, ready to run."""
        return self.opened.engine

    def looking_at(self, tiling: Tiling) -> "ReplaySession":
        """The session with another tiling; it shares the opened model."""
        return replace(self, settings=replace(self.settings, tiling=tiling))

    def __enter__(self) -> "ReplaySession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened.close()


@dataclass(frozen=True)
class ReplayOutputs:
    """Where the results go. Without `events`, a file of JSON lines, events are printed."""

    events: Path | None = None
    video: Path | None = None
    inset: InsetPosition = "beside"  # where the video shows the motion map


def open_session(
    source: str, model: Path | None, config_file: Path | None, camera: str | None, threads: int | None = None
) -> ReplaySession:
    """Open the model and read the settings for a video file. Without a `config_file` all settings are the defaults.

    `camera`: whose settings apply, if the configuration has several. Raises SourceError, CaptureError, ConfigError,
    AssetError, EngineError, ReplayError.
    """
    file = _file_of(source)
    config = (
        load(config_file) if config_file else Config(cameras={"replay": CameraConfig.model_construct(source=source)})
    )
    name = _camera_of(tuple(config.cameras), camera)
    opened = open_at_terminal(_with(config.model, model, threads), state_directory(config.outbox))
    wrong = unknown_actions(config, opened.engine.manifest.labels)
    if wrong and config_file:
        opened.close()
        raise ConfigError(config_file, wrong)
    view = config.cameras[name].to_source()
    return ReplaySession(
        file,
        opened,
        pipeline_settings(config, name, opened.engine.manifest.start_scores),
        config.mqtt.people_score,
        config.device.name,
        name,
        view,
    )


def _with(model: ModelConfig, path: Path | None, threads: int | None) -> ModelConfig:
    """`[model]` with the given file and number of threads, if any."""
    given = {key: value for key, value in (("path", path), ("threads", threads)) if value is not None}
    return model.model_copy(update=given)


def _file_of(source: str) -> Path:
    found = parse(source)
    if found.kind != "file":
        raise CaptureError(f"{found.redacted}: is a camera, and this takes a video file; try korsal-edge demo")
    probe(found.target)
    return Path(found.target)


def _camera_of(names: Sequence[str], requested: str | None) -> str:
    if requested is None and len(names) == 1:
        return names[0]
    if requested and requested in names:
        return requested
    raise ReplayError(f"--camera {requested or 'is missing'}: give one of {', '.join(names)}, for its zones")


def frames_of(session: ReplaySession) -> Iterator[Frame]:
    """The file's frames, transformed and masked as the camera's are. Raises CaptureError."""
    for frame in read_file(session.source, session.camera):
        yield replace(frame, image=transformed(frame.image, session.view))


def replay(session: ReplaySession, outputs: ReplayOutputs) -> int:
    """Run the file and write the results; returns 0, or 130 after Ctrl-C, with the results until then written.

    Raises CaptureError, ReplayError, VideoError.
    """
    facts, engine = probe(session.source), session.engine
    zones = {name: zone.points for name, zone in session.settings.events.zones.items()}
    style = OverlayStyle(session.people_score, zones, session.view.mask, outputs.inset, session.settings.tiling)
    for output in (outputs.events, outputs.video):
        _check_apart(session.source, output)
    start = pipeline.initial(session.camera, f"{sha256_of(session.source)} {engine.sha256}")
    with ExitStack() as stack:
        video = outputs.video and stack.enter_context(
            AnnotatedVideo(outputs.video, facts.fps, engine.manifest, MAX_GAP, style)
        )
        lines = outputs.events and stack.enter_context(EventFile(outputs.events, session))
        frames = progress.track(frames_of(session), "replaying", "frame", facts.announced)
        steps = pipeline.run(frames, engine, session.settings, start)
        status = play(steps, lines or print_events, video or discard_frame)
    if video:
        print(f"annotated video: {video.written}", file=sys.stderr)
    if outputs.events:
        print(f"events: {progress.file_summary(outputs.events)}", file=sys.stderr)
    return status


def play(steps: Iterator[PipelineOutput], publish: EventSink, draw: Callable[[Frame, StepResult], None]) -> int:
    """Publish the events and draw every frame; at the end, close open events and print a summary to stderr."""
    begun: Counter[str] = Counter()
    last: PipelineOutput | None = None
    status = invalid = 0
    try:
        for last in steps:
            frame, result, _ = last
            publish(result.events)
            draw(frame, result)
            invalid += result.detections.invalid
            begun.update(event.action for event in result.events if event.type == "new")
    except KeyboardInterrupt:
        status = INTERRUPTED
    if last is not None:
        publish(events.close(last[2].events, last[0].unix_time, "shutdown" if status else "camera"))
        print(_summary(last[0].index + 1, begun), file=sys.stderr)
    if invalid:
        print(invalid_outputs_message(invalid), file=sys.stderr)
    return status


class EventFile:
    """A context manager that writes events as JSON lines, each at once and as it would be published."""

    def __init__(self, path: Path, session: ReplaySession) -> None:
        """Raises ReplayError, as does a call where the disk is full; what was written before is kept."""
        self._path, self._device, self._camera = path, session.device, session.camera
        self._model = ModelIdentity(session.engine.manifest.name, session.engine.sha256)
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise ReplayError(f"{path}: cannot be written ({error.strerror}); choose another place") from error

    def __enter__(self) -> "EventFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __call__(self, batch: Sequence[Event]) -> None:
        """Append events."""
        for event in batch:
            payload = event_payload(event, self._device, self._camera, self._model, event.t_capture)
            try:
                self._file.write(topics.encode(payload) + b"\n")
            except OSError as error:
                raise ReplayError(f"{self._path}: cannot be written ({error.strerror}); free space there") from error


def print_events(batch: Sequence[Event]) -> None:
    """Print events, a line each, without breaking a progress bar."""
    for event in batch:
        progress.print_line(event_line(event))


def event_line(event: Event) -> str:
    """One event as a readable line: time in the file, type, action, best score so far, place."""
    minutes, seconds = divmod(event.t_capture, 60)
    box = " ".join(f"{side:.0f}" for side in event.box)
    zones = f"  in {', '.join(event.zones)}" if event.zones else ""
    ended = f"  after {event.duration:.1f} s ({event.reason_ended})" if event.type == "end" else ""
    return (
        f"{minutes:02.0f}:{seconds:05.2f}  {event.type:6}  {event.action:16}  {event.top_score:.2f}  "
        f"person {event.tube} at {box}{zones}{ended}"
    )


def discard_frame(frame: Frame, step: StepResult) -> None:
    """Stands for the video where none is requested."""


def _summary(frames: int, begun: Counter[str]) -> str:
    found = ", ".join(f"{action} {count}" for action, count in sorted(begun.items())) or "none"
    return f"{frames} frame{'s' * (frames != 1)}; events: {found}"


def _check_apart(source: Path, output: Path | None) -> None:
    if output is not None and output.exists() and output.samefile(source):
        raise ReplayError(f"{output}: is the source itself; give another name")
