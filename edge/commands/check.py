"""`korsal-edge check`: reports every problem of a configuration, or summarises it. Shell."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge import manifest as manifests
from edge.cameras.image_transform import upright
from edge.cameras.opencv import has_gstreamer
from edge.cameras.source_check import require_device
from edge.cameras.v4l2_formats import bayer_only
from edge.cameras.video_file import CaptureError, probe
from edge.config.actions import Actions
from edge.config.config_file import ConfigError, load, model_path, state_directory
from edge.config.schema import CameraConfig, Config, ModelConfig, MqttConfig
from edge.config.validation import with_file_names
from edge.engines import onnx_metadata
from edge.engines.protobuf import ProtobufError
from edge.inference import PREPROCESSORS, Engine
from edge.manifest import Manifest, ManifestError
from edge.open_model import open_at_terminal
from edge.service.settings import event_settings, topics, unknown_actions
from edge.shipped_files import AssetError
from edge.sources import Source
from edge.tiles import too_small


def check(path: Path) -> int:
    """Print a summary of the configuration and return 0.

    Raises ConfigError with all problems, AssetError and EngineError for a model that cannot be run.
    """
    folder = path.absolute().parent
    config = _loaded(path, folder)
    problems = tuple(source_problems(config.cameras, folder))
    with open_at_terminal(config.model, state_directory(config.outbox)) as engine:
        problems = (*problems, *unknown_actions(config, engine.manifest.labels))
        if problems:
            raise ConfigError(path, problems)
        print(f"{path} is valid")
        for line in _summary(config, engine):
            print(f"  {line}")
    return 0


def source_problems(cameras: Mapping[str, CameraConfig], folder: Path) -> Iterator[str]:
    """A sentence for each source that is neither a video file nor a video device, found without opening cameras.

    A missing device is not a problem: a camera may be plugged in later. `folder`: where relative paths start.
    """
    for name, camera in cameras.items():
        source = camera.to_source()
        try:
            if source.kind == "file":
                size = probe(source.target).size
                if found := too_small(upright(size, source), camera.tiling()):
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
        unknown = unknown_actions(usable, labels) if (labels := _labels(usable.model)) else ()
        found = (*source_problems(usable.cameras, folder), *unknown)
        more = [with_file_names(sentence, error.renamed) for sentence in found]
        raise ConfigError(path, (*error.problems, *more)) from None


def _labels(settings: ModelConfig) -> tuple[str, ...]:
    """The actions in the model file's manifest, read without running it; empty if it has none."""
    try:
        text = onnx_metadata.read(model_path(settings).read_bytes()).get(manifests.METADATA_KEY, "")
        return manifests.from_json(text).labels
    except (OSError, AssetError, ProtobufError, ManifestError):
        return ()


def _summary(config: Config, engine: Engine) -> list[str]:
    manifest = engine.manifest
    cameras = [
        f"camera {name}: {_source(camera.to_source())}, {_tiling(camera)}zones: {', '.join(camera.zones) or 'none'}, "
        f"events begin at {_start_scores(config.actions, camera, manifest)}"
        for name, camera in config.cameras.items()
    ]
    return [
        f"model {manifest.name}, {manifest.width}x{manifest.height}, {engine.runtime}: {', '.join(manifest.labels)}",
        f"motion map {manifest.motion.kind}, computed {PREPROCESSORS[engine.preprocessor]}",
        *cameras,
        f"broker {_broker(config.mqtt)}, topics below {topics(config).root}",
    ]


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


def _tiling(camera: CameraConfig) -> str:
    return "" if camera.tiling().is_whole else f"seen as {camera.tiling()}, "


def _start_scores(actions: Actions, camera: CameraConfig, manifest: Manifest) -> str:
    """The start score of each action, or one number if they are the same."""
    settings = event_settings(actions, camera, manifest.start_scores)
    scores = {label: settings.for_action(label).start_score for label in manifest.labels}
    if len(set(scores.values())) == 1:
        return f"{scores[manifest.labels[0]]:g}"
    return ", ".join(f"{score:g} ({label})" for label, score in scores.items())


def _broker(settings: MqttConfig) -> str:
    version = {5: "5", 3: "3.1.1"}[settings.version]
    return f"{settings.host}:{settings.port}, MQTT {version}, {'TLS' if settings.tls else 'no TLS'}"
