"""The seam between the pipeline and whatever runs the network. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge.manifest import Manifest

Infer = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
OUTPUTS = ("boxes", "scores", "labels", "class_scores")


@dataclass(frozen=True, eq=False)
class Engine:
    """A model ready to run: `infer` takes `image` (B, C, h, w) float32 and returns OUTPUTS by name."""

    infer: Infer
    manifest: Manifest
    sha256: str  # of the model's file, hexadecimal
    runtime: str  # name and version
