"""`edge.inference.run_network` for a TensorRT engine that fits and compares frames itself. Shell.

A camera's past frames stay on the GPU. Only frames go up, and OUTPUTS come down; the motion map when it is asked for.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.engines.tensorrt_errors import errors_name
from edge.engines.tensorrt_runner import Runner
from edge.graph_inference import has_motion, of_one_size
from edge.inference import Lap, NetworkFrame, NetworkResult, memory_inputs_of, of_one
from edge.manifest import FITTED, FRAME, MOTION, PREVIOUS, Manifest
from edge.motion_gap import Recall, recall


class GpuHistory:
    """A camera's motion state: times and addresses of its last FITTED frames on the GPU, oldest first.

    The places go back to `free` when nothing refers to the state any more.
    """

    def __init__(self, free: list[int]) -> None:
        self.past: list[tuple[float, int]] = []
        weakref.finalize(self, _give_back, self.past, free).atexit = False

    def recall(self, frame: NetworkFrame) -> Recall[int]:
        """What the past holds for a frame."""
        return recall(self.past, frame.time, frame.gap)


def _give_back(past: list[tuple[float, int]], free: list[int]) -> None:
    free += [place for _, place in past]


@dataclass(frozen=True, eq=False)
class GpuGraphInference:
    """An `edge.inference.RunFrames` for the thread that runs the engine; a camera's motion state is its GpuHistory."""

    runner: Runner
    manifest: Manifest
    path: Path
    _free: list[int] = field(default_factory=list)  # addresses of places for FITTED frames that nobody uses

    def __call__(self, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
        """Run the engine on the frames; fitting and motion map count as the network's time. Raises TensorRtError."""
        with errors_name(self.path):
            self.runner.upload(FRAME, of_one_size(frames, self.manifest, self.runner.largest_frame))
            for name, rows in memory_inputs_of(frames).items():
                self.runner.upload(name, rows)
            histories = [frame.motion_state or GpuHistory(self._free) for frame in frames]
            if has_motion(self.manifest):
                for row, (frame, history) in enumerate(zip(frames, histories, strict=True)):
                    self._load_previous(row, frame, history)
            lap("preprocess")
            lap("motion")
            outputs = self.runner.run(len(frames))
            lap("network")
            if has_motion(self.manifest):
                for row, (frame, history) in enumerate(zip(frames, histories, strict=True)):
                    self._keep(row, frame, history)
        return [
            NetworkResult(of_one(outputs, row), history, partial(self._motion, row))
            for row, history in enumerate(histories)
        ]

    def _load_previous(self, row: int, frame: NetworkFrame, history: GpuHistory) -> None:
        """Let PREVIOUS be the frame that lies `gap` back, the nearest there is, or zeros."""
        previous = history.recall(frame).previous
        if previous is None:
            self.runner.clear_row(PREVIOUS, row)
        else:
            self.runner.load_row(PREVIOUS, row, previous)

    def _keep(self, row: int, frame: NetworkFrame, history: GpuHistory) -> None:
        """Keep the FITTED frame in the place of one that is needed no more."""
        known = history.recall(frame)
        history.past[:] = known.kept
        self._free.extend(known.free)
        place = self._free.pop() if self._free else self.runner.place_for_row(FITTED)
        history.past.append((frame.time, place))
        self.runner.save_row(FITTED, row, place)

    def _motion(self, row: int) -> NDArray[np.float32] | None:
        if not has_motion(self.manifest):
            return None
        with errors_name(self.path):
            motion: NDArray[np.float32] = self.runner.download(MOTION, row).transpose(1, 2, 0)
            return motion
