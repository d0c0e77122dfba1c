"""Whether the machine keeps up with its live cameras. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.manifest import Manifest

WINDOW = 30.0  # seconds over which rates are measured
TARGET_FPS = 15.0  # of one camera, at which nearly as many events are found as at 25
MIN_FPS = 5.0  # at which most of them still are: docs/performance.md
MAX_NAMED = 4  # cameras in a sentence
TOO_SLOW, KEEPS_PACE = 2 / 3, 0.8  # shares of the target: overload begins below the first and ends above the second


@dataclass(frozen=True)
class FrameRates:
    """Frames per second that a camera delivers, and that are processed."""

    captured: float
    processed: float

    @property
    def share(self) -> float:
        """The processed share of this camera's target."""
        target = min(self.captured, TARGET_FPS)
        return self.processed / target if target else 1.0


@dataclass(frozen=True)
class OverloadState:
    """The counts of the last check, by camera (captured, processed), and the rates of the overloaded cameras.

    `since`: when that check was, monotonic, s.
    """

    since: float
    counts: Mapping[str, tuple[int, int]]
    overloaded: Mapping[str, FrameRates]


def initial(now: float) -> OverloadState:
    """No camera counted yet, at the monotonic time `now`, s."""
    return OverloadState(now, {}, {})


def is_due(state: OverloadState, now: float) -> bool:
    """Whether the window is over, or nothing was counted so far."""
    return not state.counts or now - state.since >= WINDOW


def update(state: OverloadState, counts: Mapping[str, tuple[int, int]], now: float) -> OverloadState:
    """The state after new `counts`: by live camera, frames captured and processed since the start.

    Call it when it `is_due`. A camera that was added, or reopened, which resets its counts, is judged next time.
    """
    seconds = now - state.since
    rates = {
        name: FrameRates((captured - state.counts[name][0]) / seconds, (processed - state.counts[name][1]) / seconds)
        for name, (captured, processed) in counts.items()
        if name in state.counts and captured >= state.counts[name][0] and processed >= state.counts[name][1]
    }
    overloaded = {
        name: rate
        for name, rate in rates.items()
        if rate.share < (KEEPS_PACE if name in state.overloaded else TOO_SLOW)
    }
    return OverloadState(now, dict(counts), overloaded)


def warning_text(overloaded: Mapping[str, FrameRates], remedies: str, least: float = 0.0) -> str:
    """The sentence that names overloaded cameras, their rates and what helps.

    `least`: frames per second below which a model that sees clips sees no motion, as `edge.clip.least_rate`.
    """
    rates = [f"{rate.processed:.1f} of {rate.captured:.0f} frames/s of {name}" for name, rate in overloaded.items()]
    more = f" and so on, {len(rates)} cameras in all" if len(rates) > MAX_NAMED else ""
    still = any(rate.processed < least for rate in overloaded.values())
    clips = f", and below {least:.1f} each of the model's clips is one frame repeated" if still else ""
    processed = f"{', '.join(rates[:MAX_NAMED])}{more}{clips}"
    return f"this machine is too slow for its cameras: it processes {processed}; {remedies}"


def on_cpu(runtime: str) -> bool:
    """Whether an Engine's `runtime` is ONNX Runtime without a GPU."""
    return runtime.startswith("onnxruntime") and "ExecutionProvider" not in runtime


def remedies(manifest: Manifest, runtime: str, tiled: bool = False) -> str:
    """What helps against overload, cheapest first; `tiled`: whether any camera's frames are cut into tiles."""
    options = [
        *(["use fewer `tiles`"] if tiled else []),
        f"lower `fps` of the cameras ({MIN_FPS:g} per second are enough for most actions)",
        "use fewer cameras",
    ]
    if manifest.precision != "int8":
        file = ", the file for CPUs: *-int8-cpu.onnx" if on_cpu(runtime) else ""
        options.insert(0, f"run an INT8 model ([model] path{file})")
    return ", or ".join(options)
