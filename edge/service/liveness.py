"""Whether every stage of the daemon makes progress, which decides whether systemd's watchdog is fed. Pure.

A stage makes progress when its heartbeat changes: a count of frames, the time of its last round. A stage without work
(an offline camera, a network without frames) is not checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Heartbeat:
    """A value that changes with every progress of a stage, and how long it may stay the same (s)."""

    value: float
    limit: float


@dataclass(frozen=True)
class StageState:
    """A stage's last heartbeat, and since when it has not changed (monotonic, s)."""

    heartbeat: Heartbeat
    since: float


StageStates = Mapping[str, StageState]


@dataclass(frozen=True)
class LivenessChanges:
    """A sentence for each stage that has stalled or recovered since the last check.

    `stalled_since`: since when (monotonic, s) each stage that is stalled now has been so.
    """

    stalled_since: Mapping[str, float]
    stalled: tuple[str, ...]
    recovered: tuple[str, ...]


def update(stages: StageStates, heartbeats: Mapping[str, Heartbeat], now: float) -> StageStates:
    """The stages' states after their heartbeats at the monotonic time `now`; start with {}.

    A stage that is new, or has work again, gets its whole limit from now on.
    """
    return {name: StageState(beat, _since(stages.get(name), beat, now)) for name, beat in heartbeats.items()}


def stalled(stages: StageStates, now: float) -> tuple[str, ...]:
    """A sentence for each stage that is stalled; () where all is well."""
    return tuple(_stall_message(name, stage, now) for name, stage in stages.items() if _is_stalled(stage, now))


def changes(stalled_since: Mapping[str, float], stages: StageStates, now: float) -> LivenessChanges:
    """What has changed since the last call, given its `stalled_since`; start with {}."""
    still = {name: stalled_since.get(name, stage.since) for name, stage in stages.items() if _is_stalled(stage, now)}
    begun = tuple(_stall_message(name, stages[name], now) for name in still if name not in stalled_since)
    recovered = tuple(
        _recovery_message(name, since, stages.get(name), now)
        for name, since in stalled_since.items()
        if name not in still
    )
    return LivenessChanges(still, begun, recovered)


def _is_stalled(stage: StageState, now: float) -> bool:
    return now - stage.since > stage.heartbeat.limit


def _stall_message(name: str, stage: StageState, now: float) -> str:
    return f"{name}: no progress for {now - stage.since:.0f} s, the limit is {stage.heartbeat.limit:g} s"


def _recovery_message(name: str, since: float, stage: StageState | None, now: float) -> str:
    """`stage`: None where it has no work any more."""
    if stage is None:
        return f"{name}: no longer checked, after {now - since:.0f} s without progress"
    return f"{name}: makes progress again, after {stage.since - since:.0f} s"


def _since(before: StageState | None, heartbeat: Heartbeat, now: float) -> float:
    return now if before is None or before.heartbeat.value != heartbeat.value else before.since
