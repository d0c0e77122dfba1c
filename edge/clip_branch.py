"""The network of a model that sees clips, ready to run: one call from clips to their maps. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge.clip import bytes_per_camera
from edge.manifest import Manifest

CLIP_STAGE = "clip"  # of a frame's time, of models that see clips


@dataclass(frozen=True, eq=False)
class ClipBranch:
    """`infer` takes CLIP (B, 3, L, h, w) float32 and returns NEWEST_MAP, at most `largest_batch` at a time."""

    infer: Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
    largest_batch: int = 1


def clip_summary(manifest: Manifest, tiles: int | None = None) -> str:
    """What a network is shown, how often, and what is kept for that, in words; "" for one that sees no clips.

    `tiles`: of a camera, None where that is not known.
    """
    if (clip := manifest.clip) is None:
        return ""
    kept = bytes_per_camera(clip, manifest.height, manifest.width) * (tiles or 1)
    return (
        f"clips of {clip.frames} frames {clip.step / manifest.rate:g} s apart, a new map every "
        f"{clip.every / manifest.rate:g} s, up to {kept / 1e6:.1f} MB for each camera{' or tile' * (tiles is None)}"
    )
