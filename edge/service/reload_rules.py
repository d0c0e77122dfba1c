"""What differs between two configurations, what a reload can apply of it, and what needs a restart. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge.config.schema import Config

MAX_NAMED = 12  # changes in a line of the log
RELOADED_TABLES = (  # without a restart
    *("cameras", "linker", "actions", "history", "teaching", "telemetry", "thermal", "web", "log"),
    "restart_argus",
)


def reloadable(running: Config, new: Config) -> Config:
    """The running configuration with the tables of the new one that need no restart."""
    return running.model_copy(update={name: getattr(new, name) for name in RELOADED_TABLES})


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """The paths of the keys that differ; with their values where these are numbers, as text may be secret."""
    return tuple(_changes("", before.model_dump(by_alias=True), after.model_dump(by_alias=True)))


def _changes(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key in {**before, **after}:
        name, one, other = f"{path}{key}", before.get(key), after.get(key)
        if key not in after:
            yield f"{name} is removed"
        elif key not in before:
            yield f"{name} is new"
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _changes(f"{name}.", one, other)
        elif one != other:
            plain = isinstance(one, (int, float)) and isinstance(other, (int, float))
            yield f"{name} from {one} to {other}" if plain else name


def describe(now: Sequence[str], later: Sequence[str]) -> str:
    """What has changed, and what changes after a restart; at most MAX_NAMED keys each."""
    text = _listed(now) or "nothing has changed"
    return f"{text}; after a restart: {_listed(later)}" if later else text


def _listed(changed: Sequence[str]) -> str:
    more = len(changed) - MAX_NAMED
    return ", ".join(changed[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def needs_restart(running: Config, new: Config) -> tuple[str, ...]:
    """The tables in which the running configuration still differs from the new one."""
    now, then = running.model_dump(), new.model_dump()
    return tuple(name for name in now if now[name] != then[name])
