"""From the tables of `config.toml` to the settings of the pure files. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from edge.broker.topics import Topics
from edge.config.problems import nearest
from edge.config.schema import Config, action_settings
from edge.default_linker import DefaultLinker, LinkerSettings
from edge.events import ActionSettings, EventSettings
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker
from edge.pipeline import PipelineSettings
from edge.sources import redact

NONE: Mapping[str, float] = MappingProxyType({})
SHOWN = 12  # changes in a line of the log
AT_ONCE = ("cameras", "linker", "actions", "telemetry", "thermal", "log")  # tables


def linker(config: Config) -> Linker:
    """What links detections, in all cameras."""
    if config.linker.kind == "korsal":
        return KorsalLinker()
    return DefaultLinker(LinkerSettings(**config.linker.model_dump(exclude={"kind"})))


def event_settings(config: Config, camera: str, start_scores: Mapping[str, float] = NONE) -> EventSettings:
    """When events of one camera begin and end, and its zones; `start_scores` are the model's."""
    table = config.cameras[camera]
    names = [name for name in {**start_scores, **config.actions, **table.actions} if name != "default"]
    usual = ActionSettings.start_score
    return EventSettings(
        default=action_settings(config.actions, "default", table.actions),
        actions={
            name: action_settings(config.actions, name, table.actions, start_scores.get(name, usual)) for name in names
        },
        zones=table.zones,
    )


def pipeline_settings(config: Config, camera: str, start_scores: Mapping[str, float] = NONE) -> PipelineSettings:
    """Everything that can be tuned for one camera; `start_scores` are the model's."""
    gap = config.cameras[camera].frame_gap
    return PipelineSettings(linker(config), event_settings(config, camera, start_scores), gap)


def topics(config: Config) -> Topics:
    """Where this device publishes."""
    return Topics(config.mqtt.base, config.device.name)


def unknown_actions(config: Config, labels: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each table of an action that the model does not know."""
    tables = [("actions", name) for name in config.actions]
    tables += [
        (f"cameras.{camera}.actions", name) for camera, table in config.cameras.items() for name in table.actions
    ]
    unknown = [(path, name) for path, name in tables if name != "default" and name not in labels]
    return tuple(
        f"{path}.{redact(name)}: the model knows no such action; {nearest(name, labels)}" for path, name in unknown
    )


def applied(running: Config, wanted: Config) -> Config:
    """What can hold at once after a reload: all that concerns cameras, thresholds, intervals and the log's level."""
    return running.model_copy(update={name: getattr(wanted, name) for name in AT_ONCE})


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """The keys that differ, by their paths; with their values where these are numbers, for text may be secret."""
    return tuple(_changes("", before.model_dump(), after.model_dump()))


def _changes(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in {**before, **after}:
        name, one, other = f"{path}{key}", before.get(key), after.get(key)
        if key not in after:
            yield f"{name} is gone"
        elif key not in before:
            yield f"{name} is new"
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _changes(f"{name}.", one, other)
        elif one != other:
            plain = isinstance(one, (int, float)) and isinstance(other, (int, float))
            yield f"{name} from {one} to {other}" if plain else name


def in_words(now: Sequence[str], later: Sequence[str]) -> str:
    """What changed, and what changes after a restart: some of it where it is much."""
    said = _some(now) or "nothing has changed"
    return f"{said}; after a restart: {_some(later)}" if later else said


def _some(changed: Sequence[str]) -> str:
    more = len(changed) - SHOWN
    return ", ".join(changed[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def needs_restart(running: Config, wanted: Config) -> tuple[str, ...]:
    """The tables in which the running configuration still differs from the wanted one."""
    now, then = running.model_dump(), wanted.model_dump()
    return tuple(name for name in now if now[name] != then[name])
