"""What an engine answers for two frames, whether it takes the prepared input or prepares frames itself."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert import calibration
from convert.calibration import FramePair
from edge.clip_inference import of_clips
from edge.inference import Engine, NetworkFrame, NetworkResult, Outputs, run_network


class Stream:
    """One frame again and again, as of `batch` cameras that all see the same: each call runs the engine on the next.

    `pair`: the frame, the one before it if any, and what is read beside it.
    """

    def __init__(self, engine: Engine, pair: FramePair, batch: int = 1) -> None:
        self._engine, self._pair = engine, pair
        self._states: list[Any] = [None] * batch
        self._seconds = 0.0
        if pair.previous is not None:
            self._run(pair.previous)

    def __call__(self) -> list[NetworkResult]:
        """The results, one for each of the batch."""
        return self._run(self._pair.image)

    def _run(self, image: NDArray[np.uint8]) -> list[NetworkResult]:
        manifest = self._engine.manifest
        given = (image, self._seconds, manifest.motion, manifest.gap)
        frames = [NetworkFrame(*given, state, self._pair.beside) for state in self._states]
        results = run_network(self._engine, frames, lambda stage: None)
        self._states = [result.motion_state for result in results]
        self._seconds += manifest.gap.seconds
        return results


def answer(engine: Engine, pair: FramePair) -> Outputs:
    """The outputs for a frame, as a batch of one."""
    if engine.preprocessor == "graph":
        (result,) = Stream(engine, pair)()
        return result.outputs
    return network_call(engine, pair, 1)()


def network_call(engine: Engine, pair: FramePair, batch: int) -> Callable[[], Outputs]:
    """A call of the network alone, of an engine that takes the prepared input; with a clip's map made anew."""
    inputs = calibration.network_input(pair, engine.manifest)
    return partial(of_clips(engine), {name: np.repeat(value, batch, axis=0) for name, value in inputs.items()})
