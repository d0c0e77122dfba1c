"""Whether the machine keeps up with its live cameras. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.manifest import Manifest

WINDOW = 30.0  # seconds that rates are taken over
WANTED_FPS = 15.0  # frames a second of one camera, at which nearly as many events are told as at 25
LEAST_FPS = 5.0  # at which most of them still are: docs/performance.md
NAMED = 4  # cameras in a sentence
TOO_SLOW, KEEPS_UP = 2 / 3, 0.8  # shares of what is wanted: below the first begins what ends above the second


@dataclass(frozen=True)
class Rates:
    """Frames a second that a camera gives, and that are looked at of them."""

    given: float
    taken: float

    @property
    def share(self) -> float:
        """Of what is wanted of this camera, the share that is looked at."""
        wanted = min(self.given, WANTED_FPS)
        return self.taken / wanted if wanted else 1.0


@dataclass(frozen=True)
class Load:
    """Frames given and taken by camera at the monotonic time `since`, and the cameras that are too much, with rates."""

    since: float
    counts: Mapping[str, tuple[int, int]]
    overloaded: Mapping[str, Rates]


def initial(now: float) -> Load:
    """Nothing is known yet at the monotonic time `now`, s."""
    return Load(now, {}, {})


def is_due(load: Load, now: float) -> bool:
    """Whether a look at the counts would tell anything."""
    return not load.counts or now - load.since >= WINDOW


def look(load: Load, counts: Mapping[str, tuple[int, int]], now: float) -> Load:
    """What is known after a look at `counts`: by live camera the frames given and taken since the start.

    To be called where it `is_due`. A camera that has come, gone or been opened anew in between, so that its counts
    began again, is left for the next time.
    """
    seconds = now - load.since
    rates = {
        name: Rates((given - load.counts[name][0]) / seconds, (taken - load.counts[name][1]) / seconds)
        for name, (given, taken) in counts.items()
        if name in load.counts and given >= load.counts[name][0] and taken >= load.counts[name][1]
    }
    overloaded = {
        name: rate for name, rate in rates.items() if rate.share < (KEEPS_UP if name in load.overloaded else TOO_SLOW)
    }
    return Load(now, dict(counts), overloaded)


def sentence(overloaded: Mapping[str, Rates], cure: str) -> str:
    """What to say of cameras that are too much."""
    rates = [f"{rate.taken:.1f} of {rate.given:.0f} of {name}" for name, rate in overloaded.items()]
    more = f" and so on, {len(rates)} cameras in all" if len(rates) > NAMED else ""
    return (
        "this machine is too slow for its cameras: of their frames a second it looks at "
        f"{', '.join(rates[:NAMED])}{more}; {cure}"
    )


def cure(manifest: Manifest, runtime: str) -> str:
    """What helps, cheapest first."""
    on_cpu = runtime.startswith("onnxruntime") and "ExecutionProvider" not in runtime
    ways = [
        f"lower `fps` of the cameras ({LEAST_FPS:g} a second are enough for most actions)",
        "take fewer cameras",
    ]
    if manifest.precision != "int8":
        ways.insert(0, f"run an INT8 model ([model] path{', the file for CPUs: *-int8-cpu.onnx' if on_cpu else ''})")
    return ", or ".join(ways)
