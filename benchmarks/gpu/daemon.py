"""Step: the daemon's pipeline with torch in the place of TensorRT: frames per second, and what is not the network.

With an OpenCV that is built with CUDA only the way through cv2.cuda is measured, with another one the other ways: each
with the OpenCV that it would have.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu import machine, step
from benchmarks.gpu.step import Step
from benchmarks.gpu.torch_engine import TorchRunner, engine, untrained
from benchmarks.gpu.torch_frames import TorchFrames
from edge import pipeline
from edge.engines import motion_cuda
from edge.engines.inference_cuda import with_cuda_preprocessing
from edge.engines.motion_cuda import MotionCudaError
from edge.inference import Engine, LoadedEngine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from train.gpu.motion import MotionMaps

BATCHES = (1, 2, 4, 8, 16)  # cameras, one frame of each in a batch
WARM_UP = 10  # steps
MANIFEST = Manifest("daemon", tuple(f"action {i}" for i in range(26)), 224, 288, MotionSettings(gap=2))


@dataclass(frozen=True)
class Way:
    """One way to prepare frames, by the name that the results have."""

    name: str
    prepare: Callable[[LoadedEngine, TorchRunner], LoadedEngine]


def main() -> None:
    """Each way with each number of cameras."""
    running = step.begin()
    images = list(machine.clip())
    built_with_cuda = hasattr(cv2.cuda, "createGaussianFilter")
    others = (Way("cpu", _on_cpu), Way("torch, as in the graph", _with_torch))
    ways = (Way("cv2.cuda", _with_cv2),) if built_with_cuda else others
    manifest = replace(MANIFEST, height=64, width=96) if running.rehearse else MANIFEST
    dtype = torch.float32 if running.rehearse else torch.float16
    for batch in BATCHES[:2] if running.rehearse else BATCHES:
        for way in ways:
            if running.left < 1:
                running.save(cut=f"time was up before {batch} cameras, {way.name}")
                return
            runner = TorchRunner(untrained(manifest, dtype, running.device), manifest, batch, running.device)
            row = {"preparation": way.name, "cameras": batch}
            try:
                with way.prepare(engine(runner, manifest), runner) as opened:
                    running.note("pipeline", {**row, **_measured(opened, images, batch, running)})
            except MotionCudaError as error:
                running.note("pipeline", {**row, "failed": str(error)})


def _on_cpu(opened: LoadedEngine, runner: TorchRunner) -> LoadedEngine:
    return opened


def _with_cv2(opened: LoadedEngine, runner: TorchRunner) -> LoadedEngine:
    return with_cuda_preprocessing(opened, motion_cuda.usable())


def _with_torch(opened: LoadedEngine, runner: TorchRunner) -> LoadedEngine:
    frames = TorchFrames(runner, opened.engine.manifest, MotionMaps(opened.engine.manifest, runner.device))
    return replace(opened, engine=replace(opened.engine, run_frames=frames))


def _measured(
    opened: Engine, images: Sequence[NDArray[np.uint8]], batch: int, running: Step
) -> dict[str, float | dict[str, float]]:
    """Frames per second of all cameras together, the share of time outside the network, ms of each stage a frame."""
    states = [pipeline.initial(f"camera{i}", "seed") for i in range(batch)]
    spent: defaultdict[str, float] = defaultdict(float)
    last = 0.0

    def lap(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[stage] += now - last
        last = now

    began, steps = 0.0, 0
    seconds = 0.2 if running.rehearse else 3.0
    for index, image in enumerate(cycle(images)):
        if index == (1 if running.rehearse else WARM_UP):
            spent.clear()
            began, steps = time.perf_counter(), 0
        elif began and (time.perf_counter() - began > seconds or running.left <= 0):
            break
        last = time.perf_counter()
        at = index / machine.RATE
        inputs = [FrameInput(s, Frame("camera", index, at, at, image), PipelineSettings()) for s in states]
        states = [state for state, _ in pipeline.step_batch(inputs, opened, lap)]
        steps += 1
    whole = time.perf_counter() - began
    frames = steps * batch
    stages = {stage: round(1000 * took / frames, 4) for stage, took in spent.items()}
    outside = 1 - spent["network"] / whole
    return {"fps": round(frames / whole, 1), "outside_network": round(outside, 4), "ms_per_frame": stages}


if __name__ == "__main__":
    main()
