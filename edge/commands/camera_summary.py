"""What `korsal-edge check` says of where a camera looks, and of where its events begin. Pure."""

from collections.abc import Mapping, Sequence

from edge.event_settings import ActionSettings, EventSettings
from edge.tiles import WHOLE, Tiling, enlargement
from edge.zones import Zone

ANYWHERE = "anywhere"


def zones(named: Mapping[str, Zone]) -> str:
    """The zones' names, with the stay after which each counts."""
    names = [
        f"{name} after a stay of {zone.min_duration:g} s" if zone.min_duration else name for name, zone in named.items()
    ]
    return ", ".join(names) or "none"


def start_scores(settings: EventSettings, labels: Sequence[str]) -> str:
    """The start score of each action, or one number if they are the same."""
    return _by_action({label: f"{settings.for_action(label).start_score:g}" for label in labels})


def looks(tiling: Tiling, size: tuple[int, int] | None, input_size: tuple[int, int]) -> list[str]:
    """Where the network looks, in words; nothing where it is the whole frame.

    Sizes are (width, height), pixels; `size`: the frames', where known.
    """
    if tiling.is_whole:
        return []
    tiles = f"{tiling.grid} tiles, which share {tiling.overlap:.0%} of their sides" if tiling.count > 1 else ""
    x, y, width, height = tiling.region
    region = f"the region from x {x:g} to {x + width:g} and y {y:g} to {y + height:g}" if tiling.region != WHOLE else ""
    larger = f": people are {enlargement(size, tiling, input_size):.1f} times as large for the network" if size else ""
    return [f"looks at {', of '.join(part for part in (tiles, region) if part)}{larger}"]


def beginnings(settings: EventSettings, labels: Sequence[str]) -> list[str]:
    """Where events begin, and with people of which size; nothing where that is anywhere and any."""
    each = {label: _beginning(settings.for_action(label)) for label in labels}
    if set(each.values()) == {ANYWHERE}:
        return []
    return [f"events begin {_by_action(each)}"]


def _beginning(action: ActionSettings) -> str:
    place = f"only in {' or '.join(action.required_zones)}" if action.required_zones else ANYWHERE
    if (action.min_area, action.max_area) == (ActionSettings.min_area, ActionSettings.max_area):
        return place
    return f"{place} with people on {action.min_area:.4g} to {action.max_area:.4g} of the frame's area"


def _by_action(values: Mapping[str, str]) -> str:
    """The value, or each value with its actions where they differ."""
    labels: dict[str, list[str]] = {}
    for label, value in values.items():
        labels.setdefault(value, []).append(label)
    if len(labels) == 1:
        return next(iter(labels))
    return ", ".join(f"{value} ({', '.join(of_value)})" for value, of_value in labels.items())
