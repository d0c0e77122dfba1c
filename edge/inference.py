"""The seam between the pipeline and whatever runs the network. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.manifest import Manifest
from edge.motion import MotionSettings

Outputs = Mapping[str, NDArray[Any]]
Infer = Callable[[Mapping[str, NDArray[Any]]], Outputs]
Lap = Callable[[str], None]  # called with a stage's name as soon as the stage is over
Memory = Any  # what a camera's frames leave behind for its next; whoever looks knows what it is
INPUT = "image"
OUTPUTS = ("boxes", "scores", "labels", "class_scores")


@dataclass(frozen=True, eq=False)
class View:
    """One camera's newest frame: (H, W, 3) uint8 BGR. `memory`: of the camera's last Sighting, None at first.

    A memory is continued once, and with frames of one size.
    """

    image: NDArray[np.uint8]
    motion: MotionSettings
    memory: Memory | None


@dataclass(frozen=True, eq=False)
class Sighting:
    """What the network answered about one View: OUTPUTS for a batch of one.

    `motion` gives the map that it was shown, (h, w, 3) float32, None for a model without; ask before the next look.
    """

    outputs: Outputs
    memory: Memory
    motion: Callable[[], NDArray[np.float32] | None]


Sight = Callable[[Sequence[View], Lap], list[Sighting]]


@dataclass(frozen=True, eq=False)
class Engine:
    """A model ready to run: `infer` takes INPUT (B, C, h, w) float32 and returns OUTPUTS by name.

    `largest_batch` is that of one call. `sight`: how frames get to it where that is not through arrays and the CPU.
    """

    infer: Infer
    manifest: Manifest
    sha256: str  # of the model's file, hexadecimal
    runtime: str  # name and version
    largest_batch: int = 1
    sight: Sight | None = None


def input_shape(manifest: Manifest, batch: int) -> tuple[int, ...]:
    """Of INPUT: (B, C, h, w)."""
    return batch, manifest.channels, manifest.height, manifest.width


def output_shapes(manifest: Manifest, batch: int) -> dict[str, tuple[int, ...]]:
    """Of every one of OUTPUTS for so many images."""
    peaks = manifest.top_k
    return {
        "boxes": (batch, peaks, 4),
        "scores": (batch, peaks),
        "labels": (batch, peaks),
        "class_scores": (batch, peaks, len(manifest.labels)),
    }


def of_one(outputs: Outputs, row: int) -> Outputs:
    """What a batch's outputs say of one image, as a batch of one."""
    return {name: outputs[name][row : row + 1] for name in OUTPUTS}
