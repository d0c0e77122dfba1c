"""The seam between the pipeline and whatever runs the network. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge.manifest import Manifest

Infer = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
INPUT = "image"
OUTPUTS = ("boxes", "scores", "labels", "class_scores")


@dataclass(frozen=True, eq=False)
class Engine:
    """A model ready to run: `infer` takes INPUT (B, C, h, w) float32 and returns OUTPUTS by name."""

    infer: Infer
    manifest: Manifest
    sha256: str  # of the model's file, hexadecimal
    runtime: str  # name and version


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
