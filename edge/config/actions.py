"""The settings of `[actions.NAME]` and of a camera's actions, and which of them apply to an action. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge.config.schema_types import Duration, Fraction, Score, Table, TableError, ZoneNames
from edge.event_settings import KEEP_RATIO, ActionSettings, ContradictionError


class ActionConfig(Table):
    """`[actions.NAME]`; a key that is None comes from `[actions.default]`, then from `action_settings`."""

    start_score: Score | None = None
    keep_score: Score | None = None
    min_duration: Duration | None = None
    cooldown: Duration | None = None
    update_interval: Duration | None = None
    required_zones: ZoneNames | None = None
    min_area: Fraction | None = None
    max_area: Fraction | None = None


MAX_NAMED = 12  # zones in a sentence

Actions = Mapping[str, ActionConfig]  # by name of the action, or "default"


def action_settings(
    actions: Actions, name: str, camera: Actions | None = None, start_score: float = ActionSettings.start_score
) -> ActionSettings:
    """The settings that apply to one action of a camera. ContradictionError as ActionSettings raises it.

    The action's own table takes precedence over `default`, and in each case the camera's over the general one. A
    missing start score is `start_score`, the model's, but at least the `keep_score` that is set; a missing `keep_score`
    is KEEP_RATIO of the start score; all else is ActionSettings' default.
    """
    values = _configured(actions, name, camera)
    values.setdefault("start_score", max(start_score, values.get("keep_score", 0.0)))
    values.setdefault("keep_score", KEEP_RATIO * values["start_score"])
    return ActionSettings(**values)


def keep_score_follows(actions: Actions, name: str, camera: Actions | None = None) -> bool:
    """Whether an action's keep score is set nowhere, so that it is KEEP_RATIO of the start score."""
    return "keep_score" not in _configured(actions, name, camera)


def action_problems(actions: Actions, camera: Actions | None = None) -> dict[str, str]:
    """A sentence for each table that leads to contradictory settings, by the path of its key.

    Of two tables that contradict each other the camera's is named. Where one table contradicts several actions, the
    sentence names the lowest start score: a value that fits it fits the others.
    """
    names = dict.fromkeys([*(camera or ()), *actions])
    problems = {}
    for name in sorted(names, key=lambda name: -_configured(actions, name, camera).get("start_score", 1.0)):
        try:
            action_settings(actions, name, camera)
        except ContradictionError as error:
            table = name if camera is None or name in camera else "default"
            problems[f"{table}.{error.key}"] = str(error)
    return problems


def required_zone_problems(actions: Actions, camera: str, own_actions: Actions, zones: Sequence[str]) -> dict[str, str]:
    """A sentence for each table that requires a zone which this camera does not have, by the path of its key.

    `own_actions`: the camera's; `zones`: the names of its zones.
    """
    problems = {}
    for name in dict.fromkeys(["default", *actions, *own_actions]):
        required = [
            (path, table.required_zones)
            for path, table in _tables(actions, name, own_actions, f"cameras.{camera}.")
            if table.required_zones is not None
        ]
        path, wanted = required[-1] if required else ("", ())
        unknown = [zone for zone in wanted if zone not in zones]
        if unknown:
            problems[f"{path}.required_zones"] = _unknown_zone(unknown[0], camera, zones)
    return problems


def _unknown_zone(zone: str, camera: str, zones: Sequence[str]) -> str:
    more = f" and {len(zones) - MAX_NAMED} more" if len(zones) > MAX_NAMED else ""
    known = f"its zones are {', '.join(zones[:MAX_NAMED])}{more}" if zones else "it has no zones"
    table = f"[cameras.{camera}.zones]"
    return f"camera {camera} has no zone {zone}, {known}: name one of its own, or draw {zone} in {table}"


def check_actions(actions: dict[str, ActionConfig]) -> dict[str, ActionConfig]:
    """The tables, unchanged. TableError where they contradict each other."""
    if problems := action_problems(actions):
        raise TableError(problems)
    return actions


def _configured(actions: Actions, name: str, camera: Actions | None) -> dict[str, Any]:
    """The values set for one action, by key."""
    values: dict[str, Any] = {}
    for _, table in _tables(actions, name, camera or {}):
        values |= table.model_dump(exclude_none=True)
    return values


def _tables(actions: Actions, name: str, camera: Actions, prefix: str = "") -> Iterator[tuple[str, ActionConfig]]:
    """The tables that apply to an action, each with its path, the one that takes precedence last."""
    for key in dict.fromkeys(("default", name)):
        for path, tables in (("actions", actions), (f"{prefix}actions", camera)):
            if key in tables:
                yield f"{path}.{key}", tables[key]
