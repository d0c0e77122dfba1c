"""Frames fitted and compared with torch, as a model does that has both in its own graph. Shell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.gpu.step import synchronize
from benchmarks.gpu.torch_engine import TorchRunner
from edge import letterbox
from edge.inference import Lap, NetworkFrame, NetworkResult, of_one
from edge.manifest import Manifest
from edge.motion_gap import recall
from train.gpu.motion import MotionMaps
from train.gpu.pixels import COLOUR_BITS, FrameMemory, Moves, moved


@dataclass(frozen=True, eq=False)
class TorchFrames:
    """An `edge.inference.RunFrames` that fits and compares frames with torch, as a model does in its own graph.

    A camera's motion state is its last fitted frames on the device with their times, oldest first.
    """

    runner: TorchRunner
    manifest: Manifest
    maps: MotionMaps

    def __call__(self, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
        """Run the network on the frames, which are of one size; fitting and motion map are waited for, and timed."""
        with torch.cuda.stream(self.runner.cuda_stream), torch.inference_mode():
            levels = self._fitted(np.stack([frame.image for frame in frames]))
            synchronize(self.runner.device)
            lap("preprocess")
            recalled = [recall(frame.motion_state or (), frame.time, frame.gap) for frame in frames]
            known = [one.previous is not None for one in recalled]
            before = [levels[0] if one.previous is None else one.previous for one in recalled]
            motion = self.maps.maps(torch.stack(before), torch.tensor(known).to(levels.device), levels)
            self.runner.static[: len(frames)].copy_(torch.cat([self.maps.normalised(levels), motion], 1))
        synchronize(self.runner.device)
        lap("motion")
        outputs = self.runner.run(len(frames))
        lap("network")
        return [
            NetworkResult(of_one(outputs, row), (*one.kept, (frame.time, levels[row])), lambda: None)
            for row, (frame, one) in enumerate(zip(frames, recalled, strict=True))
        ]

    def _fitted(self, images: NDArray[np.uint8]) -> Tensor:
        """Grey levels (B, 3, h, w) int32 on the device."""
        batch, height, width = images.shape[:3]
        device, input_size = self.runner.device, self.manifest.input_size
        matrix = letterbox.affine((width, height), input_size)
        columns, rows = (torch.from_numpy(one).to(device) for one in letterbox.read_positions(matrix, input_size))
        pixels = torch.from_numpy(images.reshape(-1, 3)).to(device)
        number = torch.arange(batch, device=device)
        memory = FrameMemory(pixels, number * height * width, torch.tensor([[height, width]] * batch, device=device))
        same = torch.eye(3, 4, dtype=torch.int32, device=device) << COLOUR_BITS
        unchanged = torch.zeros((batch, 4), dtype=torch.int64, device=device)
        moves = Moves(columns.expand(batch, -1), rows.expand(batch, -1), same.expand(batch, -1, -1), unchanged)
        return moved(memory, number, moves)
