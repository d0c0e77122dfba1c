"""`korsal-edge demo`: runs the daemon on one source with a broker and a subscriber of its own. Shell."""

import json
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from paho.mqtt.client import MQTTMessage

from edge.cameras.frame_times import MAX_GAP
from edge.cameras.video_file import probe
from edge.commands.demo_broker import HOST, DemoError, EmbeddedBroker, Subscriber
from edge.config.config_file import state_directory
from edge.config.schema import (
    CameraConfig,
    Config,
    DeviceConfig,
    LogConfig,
    ModelConfig,
    MqttConfig,
    OutboxConfig,
    TelemetryConfig,
)
from edge.inference import Engine
from edge.open_model import open_at_terminal
from edge.pipeline import StepResult
from edge.service import daemon
from edge.shipped_files import asset_path
from edge.sources import Frame, parse
from edge.terminal import progress
from edge.terminal.progress import Progress
from edge.terminal.tiling_options import WHOLE_FRAME
from edge.tiles import Tiling
from edge.video.annotated_frame import OverlayStyle
from edge.video.annotated_video import MAX_PAUSE, AnnotatedVideo
from edge.video.motion_inset import InsetPosition
from edge.video.video_writer import preferred_suffix

CLIP = "demo/basketball.mp4"
VIDEO = Path("out/demo")
CAMERA_FPS = 15.0  # of the annotated video of a live camera
CAMERA_PATIENCE = 30.0  # seconds to wait for a camera's first frame
ARRIVAL_PATIENCE = 10.0  # seconds to wait for published events to arrive
SHOWN = ("type", "action", "top_score", "box", "duration", "seq")  # keys of an event that are printed


class Playback:
    """Called with every frame of the daemon: plays a file in real time, draws it, remembers the events that began."""

    def __init__(self, video: AnnotatedVideo, live: bool, played: Progress) -> None:
        self.frames = 0
        self.begun: set[str] = set()  # ids of events
        self._video, self._live, self._played = video, live, played

    def __call__(self, frame: Frame, step: StepResult) -> None:
        """Wait until the frame is due, so that a file plays in real time, then draw it."""
        if not self._live:
            time.sleep(max(0.0, frame.monotonic_time - time.monotonic()))
        self.frames += 1
        self.begun |= {event.event_id for event in step.events if event.type == "new"}
        self._video(frame, step)
        self._played.update()


class ReceivedEvents:
    """The events that came through the broker. Called from the subscriber's thread."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}  # by event_id, in order of arrival

    def __call__(self, message: MQTTMessage) -> None:
        """Store an event and print it."""
        event = json.loads(message.payload)
        self.events.setdefault(event["event_id"], []).append(event)
        progress.print_line(f"{message.topic}  {json.dumps({key: event[key] for key in SHOWN}, ensure_ascii=False)}")

    def missing(self, begun: set[str]) -> set[str]:
        """Ids of the events in `begun` of which not every message has arrived."""
        return {number for number in begun if not _is_complete(self.events.get(number, []))}


def demo(
    source: str | None,
    model: Path | None,
    video: Path | None = None,
    inset: InsetPosition = "beside",
    tiling: Tiling = WHOLE_FRAME,
) -> int:
    """Play `source` through the daemon, print what its subscriber receives, and return 0 if everything arrived.

    `source`: None for the shipped clip. `video`: the annotated video; None: VIDEO, in the most widely playable format.
    `tiling`: where the network looks.
    Raises AssetError, CaptureError, DemoError, EngineError, SourceError, VideoError.
    """
    described = parse(source or str(asset_path(CLIP)))
    fps, pause = (CAMERA_FPS, MAX_PAUSE) if described.live else (probe(described.target).fps, MAX_GAP)
    video = video or VIDEO.with_suffix(preferred_suffix())
    _prepare_folder(described.target, video)
    received = ReceivedEvents()
    with EmbeddedBroker() as broker, tempfile.TemporaryDirectory(prefix="korsal-edge-") as folder:
        config = _config(source or described.target, tiling, model, broker.port, Path(folder))
        state = state_directory(OutboxConfig())  # unlike that folder it stays, with the engine that may be built
        with (
            open_at_terminal(config.model, state) as engine,
            AnnotatedVideo(video, fps, engine.manifest, pause, OverlayStyle(inset=inset, tiling=tiling)) as drawn,
        ):
            name = engine.manifest.name
            print(f"Broker: {HOST}:{broker.port} (MQTT 3.1.1). Source: {described.redacted}. Model: {name}.")
            print("What its subscriber receives:", flush=True)
            playing = Progress("playing", "frame", None if described.live else probe(described.target).announced)
            playback = Playback(drawn, described.live, playing)
            with Subscriber(broker.port, f"{config.mqtt.base}/+/+/actions/#", received), playing:
                _run(config, playback, engine)
                _wait_for_events(received, playback.begun)
    _report(received, playback, drawn)
    return 0


def _config(source: str, tiling: Tiling, model: Path | None, port: int, folder: Path) -> Config:
    """The configuration of the demo. The source is already parsed, so the camera is not validated again."""
    return Config(
        device=DeviceConfig(name="demo"),
        model=ModelConfig(path=model),
        cameras={"camera": CameraConfig.model_construct(source=source, region=tiling.region, tiles=tiling.grid)},
        mqtt=MqttConfig(host=HOST, port=port, version=3),
        outbox=OutboxConfig(directory=folder),
        telemetry=TelemetryConfig(interval=0),
        log=LogConfig(level="warning"),
    )


def _prepare_folder(source: str, video: Path) -> None:
    """Make the video's folder and check that the video does not overwrite the source. Raises DemoError."""
    try:
        video.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(
            f"{video.parent}: cannot be made ({error.strerror}); choose another place with --video"
        ) from error
    if video.exists() and Path(source).exists() and video.samefile(source):
        raise DemoError(f"{video}: is the source itself; give another name with --video")


def _run(config: Config, playback: Playback, engine: Engine) -> None:
    """Run the daemon to the end of the file or until Ctrl-C. Raises DemoError if no frame arrives."""
    timer = threading.Timer(CAMERA_PATIENCE, _stop_without_frames, (playback,))
    timer.daemon = True
    timer.start()
    status = daemon.run(config, observe=playback, engine=engine)
    timer.cancel()
    if status:
        raise DemoError("the daemon could not run, for the reason above")
    if not playback.frames:
        source = config.cameras["camera"].to_source().redacted
        raise DemoError(f"{source}: not one frame came; check the source, or give a video file")


def _stop_without_frames(playback: Playback) -> None:
    """Stop the daemon if there has been no frame."""
    if not playback.frames:
        signal.raise_signal(signal.SIGTERM)


def _wait_for_events(received: ReceivedEvents, begun: set[str]) -> None:
    """Wait until everything has arrived, ARRIVAL_PATIENCE at most."""
    deadline = time.monotonic() + ARRIVAL_PATIENCE
    while received.missing(begun) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_complete(steps: list[dict[str, Any]]) -> bool:
    """Whether all messages of an event have arrived, including its end."""
    numbers = {step["seq"] for step in steps}
    return any(step["type"] == "end" and numbers == set(range(step["seq"] + 1)) for step in steps)


def _report(received: ReceivedEvents, playback: Playback, video: AnnotatedVideo) -> None:
    """Print a summary. Raises DemoError if a published event did not arrive."""
    actions = Counter(steps[0]["action"] for steps in list(received.events.values()))
    messages = sum(map(len, list(received.events.values())))
    found = ", ".join(f"{action} {count}" for action, count in sorted(actions.items()))
    print(f"\n{playback.frames} frames played.")
    if actions:
        number = f"{actions.total()} event{'s' if actions.total() > 1 else ''}"
        print(f"{messages} messages of {number} arrived through the broker: {found}.")
    else:
        print("No events: the model saw none of its actions long and clearly enough.")
    print(f"Annotated video: {video.written}")
    print("Next: your own camera and broker, as README.md describes (config.toml, then korsal-edge run).")
    lost = received.missing(playback.begun)
    if lost:
        raise DemoError(f"{len(lost)} of {len(playback.begun)} events did not arrive whole; run the demo again")
