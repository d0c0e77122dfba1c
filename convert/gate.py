"""The comparison with FP32 that each file of a conversion must pass. Shell."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from convert.check import WRONG_MAP, CheckData, CheckError, as_text, check_files
from edge.text import Notify
from train.evaluation.evaluation import evaluate


@dataclass(frozen=True)
class Gate:
    """Compares what was made with `exact`, the FP32 ONNX, and refuses what loses too much.

    `data` is None without calibration videos; `max_drop` is in points of frame-mAP@0.5.
    """

    exact: Path
    data: CheckData | None
    max_drop: float
    notify: Notify

    def refuses(self, made: Path, name: str) -> float | None:
        """The points that `made` loses where these are too many, else None; it is reported under `name`.

        Without a measurement of accuracy it passes, and the report says so. Raises CheckError for motion maps of its
        own that are not the daemon's, and what `check_files` raises.
        """
        if self._data_with_scores is None:
            self.notify(f"{name}: not compared with FP32; give --calibrate VIDEO")
            return None
        checked = check_files(self.exact, made, self._data_with_scores)
        self.notify(as_text(checked, (self.exact.name, name)))
        if checked.has_wrong_map:
            raise CheckError(f"{name}: {WRONG_MAP}")
        return checked.lost if checked.lost > self.max_drop else None

    @cached_property
    def _data_with_scores(self) -> CheckData | None:
        """The data with the scores of the exact model, measured once for all that is compared with it."""
        if self.data is None or self.data.data is None or self.data.run is None:
            return self.data
        return replace(self.data, exact=evaluate(self.exact, self.data.data, self.data.run))
