"""Whether every stage that should get on does get on: what systemd's watchdog is fed by. Pure.

A stage shows a mark that is another one whenever it has got on: a count, the time of its last round. A stage that has
nothing to do (a camera that is away, a network without frames) is not looked at while that is so.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """What a stage shows now. `limit`: seconds that it may take to show another."""

    value: float
    limit: float


@dataclass(frozen=True)
class Stage:
    """A stage that should get on: what it shows, and since when (monotonic, s)."""

    mark: Mark
    since: float


Progress = Mapping[str, Stage]


def look(progress: Progress, marks: Mapping[str, Mark], now: float) -> Progress:
    """Progress after a look at the stages that should get on at the monotonic time `now`; begin with {}.

    A stage that has come, or come back, has its whole limit from now on.
    """
    return {name: Stage(mark, _since(progress.get(name), mark, now)) for name, mark in marks.items()}


def late(progress: Progress, now: float) -> tuple[str, ...]:
    """Words for each stage that does not get on; none where all is well."""
    return tuple(
        f"{name}: nothing for {now - stage.since:.0f} s, {stage.mark.limit:g} s are allowed"
        for name, stage in progress.items()
        if now - stage.since > stage.mark.limit
    )


def alive(progress: Progress, now: float) -> bool:
    """Whether all is well."""
    return not late(progress, now)


def _since(before: Stage | None, mark: Mark, now: float) -> float:
    return now if before is None or before.mark.value != mark.value else before.since
