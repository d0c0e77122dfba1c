"""The gate: a converted model beside the FP32 one it came from, on real frames, and how much it may lose. Shell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from convert.check import CheckData, as_text, check_files
from train.evaluation.evaluation import evaluate

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Gate:
    """`exact` is the FP32 ONNX; `material` None where nobody gave videos; `max_drop` points of frame-mAP@0.5."""

    exact: Path
    material: CheckData | None
    max_drop: float
    tell: Tell

    def refuses(self, made: Path, name: str) -> float | None:
        """Compare what was made, to be called `name`, and tell; the points that it loses, None where it may pass.

        Where accuracy was not measured it passes, and that is told. Raises what `check_files` raises.
        """
        if self._scored is None:
            self.tell(f"{name}: not compared with FP32; give --calibrate VIDEO")
            return None
        checked = check_files(self.exact, made, self._scored)
        self.tell(as_text(checked, (self.exact.name, name)))
        return checked.lost if checked.lost > self.max_drop else None

    @cached_property
    def _scored(self) -> CheckData | None:
        """The material with the scores of the exact model, for however many are compared with it."""
        if self.material is None or self.material.data is None or self.material.run is None:
            return self.material
        return replace(self.material, exact=evaluate(self.exact, self.material.data, self.material.run))
