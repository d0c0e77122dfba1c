"""`korsal-edge check`: reports every problem of a configuration, or summarises it. Shell."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.cameras.image_transform import upright
from edge.cameras.opencv import has_gstreamer
from edge.cameras.source_check import require_device
from edge.cameras.v4l2_formats import bayer_only
from edge.cameras.video_file import CaptureError, probe
from edge.chosen_model import manifest_of
from edge.clip_branch import clip_summary
from edge.commands import camera_summary
from edge.config.config_file import ConfigError, load, state_directory
from edge.config.schema import CameraConfig, Config, MqttConfig
from edge.config.validation import with_file_names
from edge.inference import PREPROCESSORS, Engine
from edge.manifest import Manifest
from edge.open_model import open_at_terminal
from edge.service.settings import event_settings, model_warnings, topics, unknown_actions
from edge.sources import Source
from edge.tiles import USUAL_INPUT, too_small


def check(path: Path) -> int:
    """Print a summary of the configuration and return 0.

    Raises ConfigError with all problems, AssetError and EngineError for a model that cannot be run.
    """
    folder = path.absolute().parent
    config = _loaded(path, folder)
    with open_at_terminal(config.model, state_directory(config.outbox)) as engine:
        sources = source_problems(config.cameras, folder, engine.manifest.input_size)
        problems = (*sources, *unknown_actions(config, engine.manifest.labels))
        if problems:
            raise ConfigError(path, problems)
        print(f"{path} is valid")
        for line in _summary(config, engine):
            print(f"  {line}")
    return 0


def source_problems(
    cameras: Mapping[str, CameraConfig], folder: Path, input_size: tuple[int, int] = USUAL_INPUT
) -> Iterator[str]:
    """A sentence for each source that is neither a video file nor a video device, found without opening cameras.

    A missing device is not a problem: a camera may be plugged in later. `folder`: where relative paths start;
    `input_size`: the network's, (width, height).
    """
    for name, camera in cameras.items():
        source = camera.to_source()
        try:
            if source.kind == "file":
                size = probe(source.target).size
                if found := too_small(upright(size, source), camera.tiling(), input_size):
                    yield f"cameras.{name}.{found[0]}: {found[1]}"
            elif source.kind == "v4l2" and os.path.exists(source.target):
                require_device(source.target)
        except CaptureError as error:
            hint = f" (relative paths start at {folder})" if not os.path.exists(source.target) else ""
            yield f"cameras.{name}.source: {error}{hint}"


def _loaded(path: Path, folder: Path) -> Config:
    """As `load`; a ConfigError also names the problems of sources and of actions that the model does not know."""
    try:
        return load(path)
    except ConfigError as error:
        usable = error.usable
        if usable is None:
            raise
        manifest = manifest_of(usable.model)
        unknown = unknown_actions(usable, manifest.labels) if manifest else ()
        input_size = manifest.input_size if manifest else USUAL_INPUT
        found = (*source_problems(usable.cameras, folder, input_size), *unknown)
        more = [with_file_names(sentence, error.renamed) for sentence in found]
        raise ConfigError(path, (*error.problems, *more)) from None


def _summary(config: Config, engine: Engine) -> list[str]:
    manifest = engine.manifest
    cameras = [line for name, camera in config.cameras.items() for line in _camera(name, camera, config, manifest)]
    return [
        f"model {manifest.name}, {manifest.width}x{manifest.height}, {engine.runtime}: {', '.join(manifest.labels)}",
        f"motion map {manifest.motion.kind}, computed {PREPROCESSORS[engine.preprocessor]}",
        *_beside(engine),
        *cameras,
        *model_warnings(config, engine),
        f"broker {_broker(config.mqtt)}, topics below {topics(config).root}",
    ]


def _beside(engine: Engine) -> Iterator[str]:
    """The memory's file, by what it runs, or the clips that it sees, and their price."""
    if engine.clip is not None:
        yield clip_summary(engine.manifest)
    if (memory := engine.memory) is not None:
        yield f"memory {memory.path.name}, {memory.runtime}: {memory.summary}"


def _camera(name: str, camera: CameraConfig, config: Config, manifest: Manifest) -> list[str]:
    """What is configured of one camera, in lines of which all but the first are indented."""
    settings, labels = event_settings(config.actions, camera, manifest.start_scores), manifest.labels
    more = [
        *camera_summary.looks(camera.tiling(), _frame_size(camera), manifest.input_size),
        *camera_summary.beginnings(settings, labels),
    ]
    return [
        f"camera {name}: {_source(camera.to_source())}, zones: {camera_summary.zones(settings.zones)}, "
        f"events begin at {camera_summary.start_scores(settings, labels)}",
        *(f"  {line}" for line in more),
    ]


def _frame_size(camera: CameraConfig) -> tuple[int, int] | None:
    """(width, height) of its frames, where that is known without opening it."""
    source = camera.to_source()
    if source.kind == "file":
        return upright(probe(source.target).size, source)
    return upright((camera.width, camera.height), source) if camera.width and camera.height else None


def _source(source: Source) -> str:
    """The redacted source, and what it lacks on this machine at the moment."""
    missing = ""
    if source.kind == "v4l2" and not os.path.exists(source.target):
        missing = " (no such device at the moment)"
    elif source.kind == "v4l2" and bayer_only(source.target):
        missing = " (a CSI sensor, which gives raw Bayer values here: write csi://0)"
    if source.kind == "csi" and not has_gstreamer():
        missing = " (this OpenCV has no GStreamer, which it needs: use the one of JetPack)"
    return f"{source.redacted}{missing}"


def _broker(settings: MqttConfig) -> str:
    version = {5: "5", 3: "3.1.1"}[settings.version]
    return f"{settings.host}:{settings.port}, MQTT {version}, {'TLS' if settings.tls else 'no TLS'}"
