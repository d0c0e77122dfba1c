"""Step: what the machine is, and when it was asked; decodes the clip that later steps take."""

import datetime
import os
import platform
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gpu import step

CLIP = "demo/basketball.mp4"
DECODED = "clip.npy"  # for steps whose OpenCV decodes nothing
RATE = 30.0  # frames per second of the clip
FRAMES = 120


def clip() -> NDArray[np.uint8]:
    """The decoded clip, (N, H, W, 3)."""
    frames: NDArray[np.uint8] = np.load(DECODED)
    return frames


def main() -> None:
    """Save the names and versions."""
    running = step.begin()
    running.save(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        rehearsal=running.rehearse,
        gpu="none, a rehearsal" if running.rehearse else torch.cuda.get_device_name(),
        cores=len(os.sched_getaffinity(0)),
        machine=platform.machine(),
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        opencv=cv2.__version__,
        numpy=np.__version__,
    )
    if not running.rehearse:
        free, total = torch.cuda.mem_get_info()
        running.save(memory_gb=round(total / 1e9, 1), free_gb=round(free / 1e9, 1))
    from edge.cameras.video_file import read_file  # not before: OpenCV with CUDA has no videos, and imports this file

    shown = islice(read_file(CLIP, "clip"), 12 if running.rehearse else FRAMES)
    np.save(DECODED, np.stack([frame.image for frame in shown]))


if __name__ == "__main__":
    main()
