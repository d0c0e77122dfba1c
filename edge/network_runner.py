"""What the network is shown, and what it answers, for frames of one or several cameras at once. Pure.

An engine may bring its own way of looking (`Engine.sight`), as `edge.engines.sight_cuda` does on the GPU; here is the
CPU's.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge import detector, motion
from edge.inference import INPUT, Engine, Lap, Sighting, View, of_one
from edge.motion import MotionSettings, Prepared


def look(engine: Engine, views: Sequence[View], lap: Lap) -> list[Sighting]:
    """Show all views to the network in one call, at most `engine.largest_batch`; the answers are in their order."""
    return (engine.sight or partial(_on_cpu, engine))(views, lap)


def _on_cpu(engine: Engine, views: Sequence[View], lap: Lap) -> list[Sighting]:
    """The memory is the camera's past: its last frames as the network sees them."""
    inputs, maps, pasts = [], [], []
    for view in views:
        normalised = detector.normalise(view.image, engine.manifest)
        lap("preprocess")
        motion_map, past = motion_step(view.memory or (), normalised, view.motion)
        lap("motion")
        inputs.append(detector.network_input(normalised, motion_map))
        maps.append(motion_map)
        pasts.append(past)
    outputs = engine.infer({INPUT: inputs[0] if len(inputs) == 1 else np.concatenate(inputs)})
    lap("network")
    kept = zip(pasts, maps, strict=True)
    return [Sighting(of_one(outputs, row), past, partial(_same, found)) for row, (past, found) in enumerate(kept)]


def motion_step(
    past: tuple[Prepared, ...], normalised: NDArray[np.float32], settings: MotionSettings
) -> tuple[NDArray[np.float32] | None, tuple[Prepared, ...]]:
    """The motion map against the frame `gap` back, the oldest there is, or zeros; and the new past.

    `normalised` is (h, w, 3) float32 of the network's input size. `past` holds the last `gap` frames and one spare,
    oldest first; the oldest may be overwritten.
    """
    if settings.kind == "none":
        return None, ()
    gap = settings.gap
    current = motion.prepare(normalised, past[0] if len(past) > gap else None)
    previous = past[-gap:][0] if past else motion.blank(*normalised.shape[:2])
    found, _ = motion.compare(previous, current, settings)
    return found, (*past, current)[-gap - 1 :]


def _same(motion_map: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return motion_map
