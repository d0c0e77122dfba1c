"""What every step of `benchmarks.gpu.run` shares: its options, its device, its time, and where results go. Shell."""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(eq=False)
class Step:
    """One step that is running; `found` is what it has found so far."""

    pack: Path
    kept: Path  # for files that come back
    rehearse: bool
    device: torch.device
    ends: float
    _result: Path
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds of the step's share."""
        return self.ends - time.monotonic()

    def save(self, **found: Any) -> None:
        """Add to the results, and write them: whatever happens next, these are kept."""
        self.found.update(found)
        self._result.write_text(json.dumps(self.found, indent=1))

    def note(self, name: str, numbers: Mapping[str, Any]) -> None:
        """Add one row to the list of that name, and print it."""
        self.save(**{name: [*self.found.get(name, []), dict(numbers)]})
        print(name, json.dumps(dict(numbers)), flush=True)


def begin() -> Step:
    """Read the options; without a GPU only a rehearsal begins."""
    parser = argparse.ArgumentParser(description="A step of benchmarks/gpu/run.py.")
    for name in ("--pack", "--result", "--kept"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU; --rehearse runs on the CPU, with small numbers")
    device = torch.device("cpu" if options.rehearse else "cuda:0")
    ends = time.monotonic() + options.seconds
    return Step(options.pack, options.kept, options.rehearse, device, ends, options.result)


def synchronize(device: torch.device) -> None:
    """Wait until the device has computed everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
