"""How far a build is: TensorRT's progress monitor, where it has one, calls a plain function. Shell.

TensorRT 8.6 has none. It reports phases within phases, each with its number of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PERCENT = 10  # between two reports of a phase

BuildProgress = Callable[[str, int, int], None]  # the phase after those around it, steps done, steps of that phase


@dataclass(eq=False)
class BuildMonitor:
    """`sink` is what TensorRT is given; `raised` is what the function raised, after which the build was ended."""

    sink: Any = None
    raised: BaseException | None = None
    phases: dict[str, tuple[str, int]] = field(default_factory=dict)  # name: with those around it, its steps


def percent_messages(tell: Callable[[str], None]) -> BuildProgress:
    """A function that tells of each phase once for every tenth of it: `Building engine › Timing 30%`."""
    told = ""

    def progress(phase: str, step: int, steps: int) -> None:
        nonlocal told
        text = f"{phase} {100 * step // max(steps, 1) // PERCENT * PERCENT}%"
        if text != told:
            told = text
            tell(text)

    return progress


def monitor(trt: Any, progress: BuildProgress) -> BuildMonitor | None:
    """None where TensorRT has no progress monitor."""
    if not hasattr(trt, "IProgressMonitor"):
        return None
    monitoring = BuildMonitor()
    monitoring.sink = _sink(trt, progress, monitoring)
    return monitoring


def _sink(trt: Any, progress: BuildProgress, monitoring: BuildMonitor) -> Any:
    class Sink(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            around, _ = monitoring.phases.get(parent_phase or "", ("", 0))
            monitoring.phases[phase_name] = (f"{around} › {phase_name}" if around else phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            name, steps = monitoring.phases.get(phase_name, (phase_name, step + 1))
            try:
                progress(name, step + 1, steps)
            except BaseException as error:  # noqa: BLE001 - not through TensorRT's C++; raised again after the build
                monitoring.raised = error
            return monitoring.raised is None

        def phase_finish(self, phase_name: str) -> None:
            monitoring.phases.pop(phase_name, None)

    return Sink()
