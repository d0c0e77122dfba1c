"""Frames of several cameras through cv2.cuda into a TensorRT engine's input, where they never come back from. Shell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import detector
from edge.engines.motion_cuda import CURE, MotionCuda, MotionCudaError
from edge.engines.tensorrt_engine import LoadedEngine, named
from edge.engines.tensorrt_runner import Runner
from edge.inference import Lap, Sighting, View, of_one
from edge.manifest import Manifest
from edge.motion import MotionSettings, Prepared
from edge.network_runner import motion_step

TOLERANCE = 1e-3
"""The largest difference from the CPU's input: cv2.cuda computes in float32, and adds up in any order."""
TRIAL_SIZE = (320, 180)  # (width, height) of the frames that cv2.cuda is tried on


@dataclass(frozen=True, eq=False)
class CudaSight:
    """An `edge.inference.Sight`: a camera's memory is its MotionCuda. For the thread that runs the engine."""

    cuda: Any
    runner: Runner
    manifest: Manifest
    path: Path

    def __call__(self, views: Sequence[View], lap: Lap) -> list[Sighting]:
        """Fitting counts as motion. Raises MotionCudaError, TensorRtError."""
        memories = [view.memory or self._memory(view) for view in views]
        for slot, (view, memory) in enumerate(zip(views, memories, strict=True)):
            lap("preprocess")
            memory.fill(view.image, slot)
            lap("motion")
        with named(self.path):
            outputs = self.runner.run(len(views))
        lap("network")
        return [
            Sighting(of_one(outputs, slot), memory, partial(_motion, memory, slot))
            for slot, memory in enumerate(memories)
        ]

    def _memory(self, view: View) -> MotionCuda:
        manifest = replace(self.manifest, motion=view.motion)
        return MotionCuda(self.cuda, self.runner, manifest, detector.frame_size(view.image))


def with_cuda_sight(opened: LoadedEngine, cuda: Any) -> LoadedEngine:
    """The TensorRT engine, from now on filled by `cuda` (of `edge.engines.motion_cuda.usable`).

    Raises MotionCudaError where what cv2.cuda computes is not what the CPU does: some builds lack parts of it.
    """
    if opened.runner is None or opened.path is None:
        raise MotionCudaError(f"cv2.cuda fills the input of TensorRT engines alone; {CURE}")
    _try(cuda, opened.runner, opened.engine.manifest)
    sight = CudaSight(cuda, opened.runner, opened.engine.manifest, opened.path)
    return replace(opened, engine=replace(opened.engine, sight=sight))


def _motion(memory: MotionCuda, slot: int) -> NDArray[np.float32] | None:
    planes = memory.input(slot)[0, 3:]
    return planes.transpose(1, 2, 0) if len(planes) else None


def _try(cuda: Any, runner: Runner, manifest: Manifest) -> None:
    """Show a scene that moves to cv2.cuda and to the CPU. Raises MotionCudaError where they differ."""
    memory = MotionCuda(cuda, runner, manifest, TRIAL_SIZE)
    past: tuple[Prepared, ...] = ()
    for image in _scene(manifest.motion):
        normalised = detector.normalise(image, manifest)
        motion_map, past = motion_step(past, normalised, manifest.motion)
        expected = detector.network_input(normalised, motion_map)
        memory.fill(image)
        difference = float(np.abs(memory.input() - expected).max())
        if not difference <= TOLERANCE:  # nan is none
            raise MotionCudaError(f"cv2.cuda computes another input, off by {difference:g}; {CURE}")


def _scene(settings: MotionSettings) -> list[NDArray[np.uint8]]:
    """Frames enough for a whole comparison: a texture that drifts, (H, W, 3)."""
    width, height = TRIAL_SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = (x / 7 + y / 11, x / 5 - y / 13, (x + y) / 9)
    return [
        np.stack([127 + 100 * np.sin(wave + drift) for wave in waves], axis=2).astype(np.uint8)
        for drift in 0.3 * np.arange(settings.gap + 2)
    ]
