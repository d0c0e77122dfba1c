"""`edge.inference.run_network` with cv2.cuda: frames go into a TensorRT engine's input and stay on the GPU. Shell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import detector
from edge.engines.motion_cuda import REMEDY, MotionCuda, MotionCudaError
from edge.engines.tensorrt_errors import errors_name
from edge.inference import (
    GpuRunner,
    Lap,
    LoadedEngine,
    NetworkFrame,
    NetworkResult,
    Past,
    memory_inputs_of,
    motion_step,
    of_one,
)
from edge.manifest import Manifest
from edge.motion_map import MotionSettings

TOLERANCE = 1e-3
"""The largest difference from the CPU's input: cv2.cuda computes in float32, and adds up in any order."""
TRIAL_SIZE = (320, 180)  # (width, height) of the frames that cv2.cuda is checked on


@dataclass(frozen=True, eq=False)
class CudaInference:
    """An `edge.inference.RunFrames`: a camera's motion state is its MotionCuda. For the thread that runs the engine."""

    cuda: Any
    runner: GpuRunner
    manifest: Manifest
    path: Path

    def __call__(self, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
        """Run the network on the frames; fitting counts as motion. Raises MotionCudaError, TensorRtError."""
        states = [frame.motion_state or self._motion_cuda(frame) for frame in frames]
        for slot, (frame, state) in enumerate(zip(frames, states, strict=True)):
            lap("preprocess")
            state.fill(frame.image, frame.time, frame.gap, slot)
            lap("motion")
        with errors_name(self.path):
            for name, rows in memory_inputs_of(frames).items():
                self.runner.upload(name, rows)
            outputs = self.runner.run(len(frames))
        lap("network")
        return [
            NetworkResult(of_one(outputs, slot), state, partial(_motion_map, state, slot))
            for slot, state in enumerate(states)
        ]

    def _motion_cuda(self, frame: NetworkFrame) -> MotionCuda:
        return MotionCuda(self.cuda, self.runner, self.manifest, detector.frame_size(frame.image))


def with_cuda_preprocessing(opened: LoadedEngine, cuda: Any) -> LoadedEngine:
    """The TensorRT engine with its input filled by `cuda` (of `edge.engines.motion_cuda.usable`).

    Raises MotionCudaError where what cv2.cuda computes is not what the CPU does: some builds lack parts of it.
    """
    if opened.runner is None or opened.path is None:
        raise MotionCudaError(f"cv2.cuda fills the input of TensorRT engines alone; {REMEDY}")
    _check_against_cpu(cuda, opened.runner, opened.engine.manifest)
    run_frames = CudaInference(cuda, opened.runner, opened.engine.manifest, opened.path)
    return replace(opened, engine=replace(opened.engine, run_frames=run_frames, preprocessor="cuda"))


def _motion_map(state: MotionCuda, slot: int) -> NDArray[np.float32] | None:
    planes = state.input(slot)[0, 3:]
    return planes.transpose(1, 2, 0) if len(planes) else None


def _check_against_cpu(cuda: Any, runner: GpuRunner, manifest: Manifest) -> None:
    """Compare cv2.cuda with the CPU on a moving scene. Raises MotionCudaError where they differ."""
    gpu = MotionCuda(cuda, runner, manifest, TRIAL_SIZE)
    past: Past = ()
    for index, image in enumerate(_scene(manifest.motion)):
        time, normalised = index / manifest.rate, detector.normalise(image, manifest)
        motion_map, past = motion_step(past, time, normalised, manifest.motion, manifest.gap)
        expected = detector.network_input(normalised, motion_map)
        gpu.fill(image, time, manifest.gap)
        difference = float(np.abs(gpu.input() - expected).max())
        if not difference <= TOLERANCE:  # nan is none
            raise MotionCudaError(f"cv2.cuda computes another input, off by {difference:g}; {REMEDY}")


def _scene(settings: MotionSettings) -> list[NDArray[np.uint8]]:
    """Enough frames for a full comparison: a drifting texture, (H, W, 3)."""
    width, height = TRIAL_SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = (x / 7 + y / 11, x / 5 - y / 13, (x + y) / 9)
    return [
        np.stack([127 + 100 * np.sin(wave + drift) for wave in waves], axis=2).astype(np.uint8)
        for drift in 0.3 * np.arange(settings.gap + 2)
    ]
