"""Progress of a build: TensorRT's progress monitor calls a plain function. Shell.

TensorRT 8.6 has no monitor. Phases are nested; each has its own number of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge.text import Notify

PERCENT = 10  # between two messages about a phase

BuildProgress = Callable[[str, int, int], None]  # the phase after its parents, steps done, steps of the phase


@dataclass(eq=False)
class BuildMonitor:
    """`sink` is handed to TensorRT; `raised` is the exception of the function, which ended the build."""

    sink: Any = None
    raised: BaseException | None = None
    phases: dict[str, tuple[str, int]] = field(default_factory=dict)  # by name: the phase after its parents, its steps


def percent_messages(notify: Notify) -> BuildProgress:
    """A function that notifies once per tenth of each phase: `Building engine › Timing 30%`."""
    last = ""

    def progress(phase: str, step: int, steps: int) -> None:
        nonlocal last
        text = f"{phase} {100 * step // max(steps, 1) // PERCENT * PERCENT}%"
        if text != last:
            last = text
            notify(text)

    return progress


def monitor(trt: Any, progress: BuildProgress) -> BuildMonitor | None:
    """What reports the steps of a build to `progress`; None where TensorRT has no progress monitor."""
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
            parents, _ = monitoring.phases.get(parent_phase or "", ("", 0))
            monitoring.phases[phase_name] = (f"{parents} › {phase_name}" if parents else phase_name, num_steps)

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
