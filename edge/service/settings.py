"""Turns the tables of `config.toml` into the settings of the pipelines. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from edge.broker.topics import Topics
from edge.clip import LARGEST, bytes_per_camera, least_rate
from edge.config.actions import Actions, action_settings
from edge.config.error_messages import suggestion
from edge.config.schema import CameraConfig, Config, LinkerConfig
from edge.config.schema_types import UnitPolygon, ZoneConfig
from edge.default_linker import DefaultLinker, LinkerSettings
from edge.event_settings import ActionSettings, EventSettings
from edge.inference import Engine
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker
from edge.manifest import Manifest
from edge.pipeline import PipelineSettings
from edge.service.overload import on_cpu
from edge.sources import redact
from edge.tiles import several_calls
from edge.zones import Zone

NONE: Mapping[str, float] = MappingProxyType({})


def linker(table: LinkerConfig) -> Linker:
    """The linker of all cameras."""
    if table.kind == "korsal":
        return KorsalLinker()
    return DefaultLinker(LinkerSettings(**table.model_dump(exclude={"kind"})))


def event_settings(actions: Actions, camera: CameraConfig, start_scores: Mapping[str, float] = NONE) -> EventSettings:
    """When events of one camera begin and end, and its zones; `start_scores`: the model's, by action."""
    names = {*start_scores, *actions, *camera.actions} - {"default"}

    def of(name: str) -> ActionSettings:
        return action_settings(actions, name, camera.actions, start_scores.get(name, ActionSettings.start_score))

    zones = {name: zone(written) for name, written in camera.zones.items()}
    return EventSettings(of("default"), {name: of(name) for name in names}, zones)


def zone(written: UnitPolygon | ZoneConfig) -> Zone:
    """A zone of the file, in whichever of its two forms."""
    if isinstance(written, ZoneConfig):
        return Zone(written.points, written.min_duration)
    return Zone(written)


def pipeline_settings(config: Config, camera: str, start_scores: Mapping[str, float] = NONE) -> PipelineSettings:
    """All settings of one camera's pipeline; `start_scores`: the model's, by action."""
    table = config.cameras[camera]
    events = event_settings(config.actions, table, start_scores)
    return PipelineSettings(linker(config.linker), events, table.motion_gap_seconds, tiling=table.tiling())


def all_pipeline_settings(config: Config, start_scores: Mapping[str, float] = NONE) -> dict[str, PipelineSettings]:
    """The settings of every camera, by its name."""
    return {name: pipeline_settings(config, name, start_scores) for name in config.cameras}


def model_warnings(config: Config, engine: Engine) -> tuple[str, ...]:
    """A sentence for each camera whose settings are none that suit the model."""
    return (*_of_tiles(config, engine), *_of_clips(config, engine.manifest))


def _of_tiles(config: Config, engine: Engine) -> tuple[str, ...]:
    """For cameras whose tiles the network takes in several calls although one would be quicker."""
    if on_cpu(engine.runtime):
        return ()  # batches gain nothing there
    found = {name: several_calls(camera.tiling(), engine.largest_batch) for name, camera in config.cameras.items()}
    return tuple(f"camera {name}: {sentence}" for name, sentence in found.items() if sentence)


def _of_clips(config: Config, manifest: Manifest) -> Iterator[str]:
    """For cameras that are so slow that no clip has more than one frame, or whose tiles keep very many frames."""
    if (clip := manifest.clip) is None:
        return
    least, one_tile = least_rate(clip, manifest.rate), bytes_per_camera(clip, manifest.height, manifest.width)
    for name, camera in config.cameras.items():
        count = camera.tiling().count
        if count > 1 and count * one_tile > LARGEST:
            yield (
                f"camera {name}: its {count} tiles keep up to {count * one_tile >> 20} MiB of frames for the model's "
                f"clips, each its own; {LARGEST >> 20} MiB are the most for one picture: set fewer `tiles`"
            )
        if camera.fps is not None and camera.fps < least:
            yield (
                f"camera {name}: with fps = {camera.fps:g} each of the model's clips is one frame repeated; "
                f"set fps to {math.ceil(least)} or more"
            )


def topics(config: Config) -> Topics:
    """The topics of this device."""
    return Topics(config.mqtt.base, config.device.name)


def unknown_actions(config: Config, labels: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each table of an action that the model does not know."""
    tables = [("actions", name) for name in config.actions]
    tables += [
        (f"cameras.{camera}.actions", name) for camera, table in config.cameras.items() for name in table.actions
    ]
    unknown = [(path, name) for path, name in tables if name != "default" and name not in labels]
    return tuple(
        f"{path}.{redact(name)}: the model knows no such action; {suggestion(name, labels)}" for path, name in unknown
    )
