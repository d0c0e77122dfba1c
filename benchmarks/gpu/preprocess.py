"""Step: the preprocessing and motion map of cv2.cuda against the CPU's, frame by frame, on a GPU."""

import cv2
import numpy as np
import torch

from benchmarks.gpu import machine, step
from benchmarks.gpu.step import Step
from benchmarks.gpu.torch_engine import TorchRunner, untrained
from edge import detector
from edge.engines import motion_cuda
from edge.engines.motion_cuda import MotionCuda, MotionCudaError
from edge.inference import Past, motion_step
from edge.manifest import Manifest
from edge.motion_map import KINDS, MotionSettings

FRAMES = 60
SIZES = ((640, 360), (1280, 720), (320, 240))  # (width, height) that the clip's frames are shown in


def main() -> None:
    """Each kind of motion map at each size of frames."""
    running = step.begin()
    try:
        cuda = motion_cuda.usable()
    except MotionCudaError as error:
        running.save(skipped=str(error))
        return
    for kind in (kind for kind in KINDS if kind != "flow"):
        for size in SIZES:
            if running.left > 0:
                _compare(running, cuda, Manifest("check", ("Run",), 224, 288, MotionSettings(kind, gap=2)), size)


def _compare(running: Step, cuda: object, manifest: Manifest, size: tuple[int, int]) -> None:
    """Note the largest differences of frame and map, and how many shifts were other ones."""
    runner = TorchRunner(untrained(manifest, torch.float32, running.device), manifest, 1, running.device)
    row: dict[str, object] = {"motion": manifest.motion.kind, "width": size[0], "height": size[1]}
    try:
        gpu, past = MotionCuda(cuda, runner, manifest, size), Past()
        frame_difference, map_differences = 0.0, []
        for index, whole in enumerate(machine.clip()[:FRAMES]):
            image, now = cv2.resize(whole, size).astype(np.uint8), index / machine.RATE
            normalised = detector.normalise(image, manifest)
            motion, past = motion_step(past, now, normalised, manifest.motion, manifest.gap)
            gpu.fill(image, now, manifest.gap)
            difference = np.abs(gpu.input() - detector.network_input(normalised, motion))[0]
            frame_difference = max(frame_difference, float(difference[:3].max()))
            map_differences.append(float(difference[3:].max(initial=0)))
    except MotionCudaError as error:
        running.note("equality", {**row, "failed": str(error)})
        return
    wrong = sum(value > 1e-3 for value in map_differences)
    found = {"frame": frame_difference, "map": max(map_differences), "maps_off": wrong, "frames": len(map_differences)}
    running.note("equality", {**row, **found})


if __name__ == "__main__":
    main()
