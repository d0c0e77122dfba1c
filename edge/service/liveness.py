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


@dataclass(frozen=True)
class News:
    """What is to be told after a look: sentences for stages that have ceased to get on, and for those that do again.

    `standing`: since when (monotonic, s) the stages have stood still that are late now.
    """

    standing: Mapping[str, float]
    begun: tuple[str, ...]
    over: tuple[str, ...]


def look(progress: Progress, marks: Mapping[str, Mark], now: float) -> Progress:
    """Progress after a look at the stages that should get on at the monotonic time `now`; begin with {}.

    A stage that has come, or come back, has its whole limit from now on.
    """
    return {name: Stage(mark, _since(progress.get(name), mark, now)) for name, mark in marks.items()}


def late(progress: Progress, now: float) -> tuple[str, ...]:
    """Words for each stage that does not get on; none where all is well."""
    return tuple(_sentence(name, stage, now) for name, stage in progress.items() if _is_late(stage, now))


def news(standing: Mapping[str, float], progress: Progress, now: float) -> News:
    """What has changed since the last call, whose `News.standing` is given; begin with {}."""
    found = {name: standing.get(name, stage.since) for name, stage in progress.items() if _is_late(stage, now)}
    begun = tuple(_sentence(name, progress[name], now) for name in found if name not in standing)
    over = tuple(_ending(name, since, progress.get(name), now) for name, since in standing.items() if name not in found)
    return News(found, begun, over)


def _is_late(stage: Stage, now: float) -> bool:
    return now - stage.since > stage.mark.limit


def _sentence(name: str, stage: Stage, now: float) -> str:
    return f"{name}: nothing for {now - stage.since:.0f} s, {stage.mark.limit:g} s are allowed"


def _ending(name: str, since: float, stage: Stage | None, now: float) -> str:
    """`stage`: None for one that has nothing to do any more."""
    if stage is None:
        return f"{name}: nothing is asked of it any more, after {now - since:.0f} s without a sign of it"
    return f"{name}: gets on again, after {stage.since - since:.0f} s"


def _since(before: Stage | None, mark: Mark, now: float) -> float:
    return now if before is None or before.mark.value != mark.value else before.since
