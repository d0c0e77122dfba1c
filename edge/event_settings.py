"""The settings of events: scores, durations, zones and areas that decide when one begins, continues and ends. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.zones import Zone

KEEP_RATIO = 0.6  # of the start score: the default keep_score


class ContradictionError(ValueError):
    """Two settings that contradict each other; `key`: the one that the message names."""

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(message)


@dataclass(frozen=True)
class ActionSettings:
    """When an event of an action starts, continues and ends.

    `required_zones`: it begins only in one of them, () for anywhere; it begins only where the box's area, as a share of
    the whole frame's, is from `min_area` to `max_area`. ContradictionError where `keep_score` is above `start_score`,
    or `max_area` below `min_area`.
    """

    start_score: float = 0.2  # 0..1
    keep_score: float = KEEP_RATIO * start_score  # 0..1, at most start_score
    min_duration: float = 0.5  # seconds at keep_score or above before an event is published
    cooldown: float = 2.0  # seconds below keep_score before it ends
    update_interval: float = 1.0  # seconds between two updates; 0: none
    required_zones: tuple[str, ...] = ()
    min_area: float = 0.0  # 0..1
    max_area: float = 1.0  # 0..1

    def __post_init__(self) -> None:
        if self.keep_score > self.start_score:
            sentence = f"keep_score {self.keep_score} is above start_score {self.start_score}: lower it"
            raise ContradictionError("keep_score", sentence)
        if self.max_area < self.min_area:
            raise ContradictionError(
                "max_area", f"max_area {self.max_area} is below min_area {self.min_area}: raise it"
            )


@dataclass(frozen=True)
class EventSettings:
    """Settings of one camera: for all actions, for those that differ, by name, and its zones by name."""

    default: ActionSettings = field(default_factory=ActionSettings)
    actions: Mapping[str, ActionSettings] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)

    def for_action(self, action: str) -> ActionSettings:
        """The settings of one action."""
        return self.actions.get(action, self.default)
