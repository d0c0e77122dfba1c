"""Chooses where the samples of a run are computed: on its device, or by processes of the CPU. Shell."""

from collections.abc import Mapping
from typing import Literal

import torch

from edge.manifest import Manifest
from train.batches import BatchError, Batches, HostBatches
from train.datasets.packed_video import PackedVideo
from train.gpu import batches
from train.gpu.frames import GIGABYTE, FrameMemoryError

SamplesOn = Literal["auto", "device", "cpu"]  # "auto": on a GPU where the frames fit into its memory


def choose(
    asked: SamplesOn, packed: Mapping[str, PackedVideo], manifest: Manifest, device: torch.device, workers: int
) -> tuple[Batches, str]:
    """What makes batches, with a sentence on where; the frames are decoded into the device's memory if it is there.

    Raises BatchError where "device" cannot be, FrameError.
    """
    on_cpu = HostBatches(device, workers)
    if asked == "cpu" or (asked == "auto" and device.type != "cuda"):
        return on_cpu, f"samples: computed on the CPU (--workers {workers})"
    try:
        made = batches.resident(packed, manifest, device, workers)
    except FrameMemoryError as error:
        if asked == "device":
            raise BatchError(f"--samples-on device: {error}; leave it out to compute samples on the CPU") from error
        return on_cpu, f"samples: computed on the CPU (--workers {workers}), for {error}"
    frames, size = len(made.resident.memory.starts), made.resident.bytes / GIGABYTE
    return made, f"samples: computed on the device, which holds {frames} decoded frames ({size:.1f} GB)"
