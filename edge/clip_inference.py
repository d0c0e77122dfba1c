"""`edge.inference.run_network` for a model that sees clips, and what is kept of a stream for that. Pure.

A camera's motion state is its ClipState: of each tile its own, gone when the pictures' size or the tiling changes.
Cameras whose maps are due at the same time share one run of the network that makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import clip as clips
from edge import detector
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP, ClipInput
from edge.clip_branch import CLIP_STAGE, ClipBranch
from edge.inference import Engine, Infer, Lap, NetworkFrame, NetworkResult, Outputs, of_one
from edge.manifest import INPUT, Manifest
from edge.memory_schedule import next_step

Planes = NDArray[np.float32]  # (3, h, w): a frame as networks take it


@dataclass(frozen=True, eq=False)
class ClipState:
    """What is kept of a stream after a frame; no step changes it.

    `times`: of the `frames`, oldest first, seconds of the camera's clock. `newest`: CLIP_MAP (1, C, h, w), made at
    `made`; None before the first one.
    """

    times: tuple[float, ...] = ()
    frames: tuple[Planes, ...] = ()
    newest: NDArray[np.float32] | None = None
    made: float | None = None


def shown(state: ClipState, frame: Planes, time: float, clip: ClipInput, rate: float) -> ClipState:
    """The state with one frame more; anew after a pause that `clip.is_over` tells of."""
    if state.times and clips.is_over(state.times[-1], time, clip, rate):
        state = ClipState()
    kept = clips.kept(state.times, time, clip, rate)
    times, frames = (state.times[index] for index in kept), (state.frames[index] for index in kept)
    return ClipState((*times, time), (*frames, frame), state.newest, state.made)


def clip_of(state: ClipState, clip: ClipInput, rate: float) -> NDArray[np.float32]:
    """CLIP (1, 3, L, h, w) that ends with the state's last frame."""
    chosen = clips.chosen(state.times, clip, rate)
    return np.stack([state.frames[index] for index in chosen], axis=1)[None]


def is_due(state: ClipState, clip: ClipInput, rate: float) -> bool:
    """Whether the state's last frame gets a map of its own."""
    return state.newest is None or next_step(state.made, state.times[-1], clip.every, rate) != "wait"


@dataclass(frozen=True, eq=False)
class ClipInference:
    """An `edge.inference.RunFrames` over `infer`, which takes INPUT and CLIP_MAP, and the branch that makes maps."""

    infer: Infer
    branch: ClipBranch
    manifest: Manifest
    clip: ClipInput

    def __call__(self, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
        """Run both networks on the frames. Raises EngineError."""
        states = [self._shown(frame) for frame in frames]
        lap("preprocess")
        lap("motion")
        states = self._with_maps(states)
        lap(CLIP_STAGE)
        images = np.stack([state.frames[-1] for state in states])
        outputs = self.infer({INPUT: images, CLIP_MAP: np.concatenate([_map_of(state) for state in states])})
        lap("network")
        return [NetworkResult(of_one(outputs, row), state, _no_motion) for row, state in enumerate(states)]

    def _shown(self, frame: NetworkFrame) -> ClipState:
        planes = detector.network_input(detector.normalise(frame.image, self.manifest), None)[0]
        return shown(frame.motion_state or ClipState(), planes, frame.time, self.clip, self.manifest.rate)

    def _with_maps(self, states: Sequence[ClipState]) -> list[ClipState]:
        """The states, with a new map where one is due."""
        due = [index for index, state in enumerate(states) if is_due(state, self.clip, self.manifest.rate)]
        after = list(states)
        for start in range(0, len(due), self.branch.largest_batch):
            together = due[start : start + self.branch.largest_batch]
            seen = np.concatenate([clip_of(states[index], self.clip, self.manifest.rate) for index in together])
            maps = self.branch.infer({CLIP: seen})[NEWEST_MAP]
            for row, index in enumerate(together):
                state = states[index]
                after[index] = replace(state, newest=maps[row : row + 1].copy(), made=state.times[-1])
        return after


def _map_of(state: ClipState) -> NDArray[np.float32]:
    assert state.newest is not None  # every stream's first frame gets one
    return state.newest


def _no_motion() -> None:
    """A network that sees clips reads no motion map."""


def seeing_clips(engine: Engine, branch: ClipBranch) -> Engine:
    """The engine, whose `infer` takes CLIP_MAP, with what makes that of frames."""
    manifest = engine.manifest
    assert manifest.clip is not None
    run_frames = ClipInference(engine.infer, branch, manifest, manifest.clip)
    return replace(engine, run_frames=run_frames, clip=branch)


def of_clips(engine: Engine) -> Infer:
    """Of an engine that sees clips both networks at once: INPUT and CLIP to OUTPUTS; of others its own `infer`."""
    if (branch := engine.clip) is None:
        return engine.infer

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Outputs:
        given = branch.infer({CLIP: inputs[CLIP]})[NEWEST_MAP]
        return engine.infer({INPUT: inputs[INPUT], CLIP_MAP: given})

    return infer
