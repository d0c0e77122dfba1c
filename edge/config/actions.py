"""The thresholds of `[actions.NAME]` and of a camera's actions, and which of them apply to an action. Pure."""

from collections.abc import Mapping

from edge.config.schema_types import Duration, Score, Table, TableError
from edge.events import KEEP_RATIO, ActionSettings


class ActionConfig(Table):
    """`[actions.NAME]`; a key that is None comes from `[actions.default]`, then from `action_settings`."""

    start_score: Score | None = None
    keep_score: Score | None = None
    min_duration: Duration | None = None
    cooldown: Duration | None = None
    update_interval: Duration | None = None


Actions = Mapping[str, ActionConfig]  # by name of the action, or "default"


def action_settings(
    actions: Actions, name: str, camera: Actions | None = None, start_score: float = ActionSettings.start_score
) -> ActionSettings:
    """The settings that apply to one action of a camera. ValueError as ActionSettings raises it.

    The action's own table takes precedence over `default`, and in each case the camera's over the general one. A
    missing start score is `start_score`, the model's, but at least the `keep_score` that is set; a missing `keep_score`
    is KEEP_RATIO of the start score; all else is ActionSettings' default.
    """
    values = _configured(actions, name, camera)
    values.setdefault("start_score", max(start_score, values.get("keep_score", 0.0)))
    values.setdefault("keep_score", KEEP_RATIO * values["start_score"])
    return ActionSettings(**values)


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
        except ValueError as error:
            table = name if camera is None or name in camera else "default"
            problems[f"{table}.keep_score"] = str(error)
    return problems


def check_actions(actions: dict[str, ActionConfig]) -> dict[str, ActionConfig]:
    """The tables, unchanged. TableError where they contradict each other."""
    if problems := action_problems(actions):
        raise TableError(problems)
    return actions


def _configured(actions: Actions, name: str, camera: Actions | None) -> dict[str, float]:
    """The values set for one action, by key."""
    values: dict[str, float] = {}
    for table in (table for key in ("default", name) for table in (actions.get(key), (camera or {}).get(key))):
        values |= table.model_dump(exclude_none=True) if table else {}
    return values
