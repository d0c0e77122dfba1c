"""Which backends of a camera have hung, and when each is tried first again. Pure.

A hang is seen by the daemon alone: the capture process that hangs can only be killed. So the daemon remembers the
backend, and the next process tries the others before it. A camera that is silent whatever reads it makes all of them
hang; then nothing is held against any, and the next process begins with the best again.
"""

from dataclasses import dataclass, replace

FIRST_SECONDS = 600.0  # that a backend comes last after its first hang; doubled with every further one
LONGEST_SECONDS = 86_400.0
STABLE_SECONDS = 60.0  # with frames, after which a stall is the camera's and not the backend's
MAX_HUNG = 16  # remembered of one camera
MAX_STALLS = 2  # in a row, each sooner than that, which count as a hang


@dataclass(frozen=True)
class HungBackend:
    """A backend by its description, when it hung last (monotonic, s) and how often it has in all."""

    name: str
    since: float
    times: int

    @property
    def seconds(self) -> float:
        """How long it comes last."""
        return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.times - 1, 30))


@dataclass(frozen=True)
class BackendMemory:
    """What is remembered of one camera's backends.

    `hung`: the longest ago first. `trials`: those of them that come first once more, in the process that runs.
    `stalled`, `stalls`: the backend that stalled last, and how often in a row.
    """

    hung: tuple[HungBackend, ...] = ()
    trials: frozenset[str] = frozenset()
    stalled: str = ""
    stalls: int = 0

    @property
    def avoided(self) -> tuple[str, ...]:
        """The backends to try after all others, in this order."""
        return tuple(one.name for one in self.hung if one.name not in self.trials)

    def begin(self, now: float) -> "BackendMemory":
        """For a new process: a backend whose time is over is tried in its own place once more."""
        due = frozenset(one.name for one in self.hung if now >= one.since + one.seconds)
        renewed = tuple(replace(one, since=now, times=one.times + 1) if one.name in due else one for one in self.hung)
        return replace(self, hung=renewed, trials=due)

    def due(self, now: float) -> str:
        """A backend that is to be tried again now, or ""."""
        return next((one.name for one in self.hung if now >= one.since + one.seconds), "")

    def with_hang(self, name: str, alternative: str, now: float) -> "BackendMemory":
        """After `name` has hung, which was to be followed by `alternative`; "" where no other can open the camera."""
        before = next((one for one in self.hung if one.name == name), None)
        others = tuple(one for one in self.hung if one.name != name)
        if not alternative or any(one.name == alternative for one in others) or name in self.avoided:
            return BackendMemory()
        times = 1 if before is None else before.times + (name not in self.trials)
        return BackendMemory((*others, HungBackend(name, now, times))[-MAX_HUNG:])

    def with_stall(self, name: str, alternative: str, seconds: float, now: float) -> "BackendMemory":
        """After `name` has given frames for so many seconds, and then no more."""
        stalls = 0 if seconds >= STABLE_SECONDS else self.stalls * (name == self.stalled) + 1
        if stalls >= MAX_STALLS:
            return self.with_hang(name, alternative, now)
        return replace(self, stalled=name, stalls=stalls)

    def with_success(self, name: str) -> "BackendMemory":
        """After `name` has given frames for STABLE_SECONDS: nothing is held against it any more."""
        return replace(self, hung=tuple(one for one in self.hung if one.name != name), stalled="", stalls=0)

    def latest(self, name: str) -> HungBackend | None:
        """The hang of this backend; None where nothing is held against it."""
        return next((one for one in self.hung if one.name == name), None)
