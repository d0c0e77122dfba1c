"""What a network reads beside the frames of a video: maps of a memory that has seen it so far, or clips. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge import detector, streaming_memory
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP
from edge.clip_branch import ClipBranch
from edge.clip_inference import ClipState, clip_of, shown
from edge.inference import Engine, StreamingMemory
from edge.manifest import Manifest
from edge.sources import Frame
from edge.streaming_memory import Look

Beside = StreamingMemory | ClipBranch | None  # where that comes from; None for a network that reads nothing beside
BesideInputs = Mapping[str, NDArray[np.float32]]  # MEMORY_INPUTS, or CLIP and CLIP_MAP, (1, ...) each, by name
WatchedFrame = tuple[Frame, Callable[[], BesideInputs]]  # only what is asked for is computed, until the next frame


def beside_of(engine: Engine) -> Beside:
    """What the engine's network reads beside its frames."""
    return engine.memory if engine.clip is None else engine.clip


def watched(frames: Iterable[Frame], manifest: Manifest, beside: Beside) -> Iterator[WatchedFrame]:
    """The frames, each with what is read beside the whole of it once the video up to it has been seen."""
    if isinstance(beside, ClipBranch):
        return _with_clips(frames, manifest, beside)
    if beside is None:
        return ((frame, dict) for frame in frames)
    return _remembered(frames, manifest, beside)


def _remembered(frames: Iterable[Frame], manifest: Manifest, memory: StreamingMemory) -> Iterator[WatchedFrame]:
    state, size = None, (0, 0)
    for frame in frames:
        before, size = size, detector.frame_size(frame.image)
        look = Look(state if before == size else None, frame.image, frame.monotonic_time)
        (state,) = streaming_memory.advance(memory, [look])
        seen = streaming_memory.inputs(state, (0, 0, *size), size, manifest.input_size)
        yield frame, partial(dict, seen)


def _with_clips(frames: Iterable[Frame], manifest: Manifest, branch: ClipBranch) -> Iterator[WatchedFrame]:
    assert manifest.clip is not None
    state, size = ClipState(), (0, 0)
    for frame in frames:
        before, size = size, detector.frame_size(frame.image)
        planes = detector.network_input(detector.normalise(frame.image, manifest), None)[0]
        state = shown(
            state if before == size else ClipState(), planes, frame.monotonic_time, manifest.clip, manifest.rate
        )
        yield frame, partial(_inputs, state, manifest, branch)


def _inputs(state: ClipState, manifest: Manifest, branch: ClipBranch) -> BesideInputs:
    assert manifest.clip is not None
    clip = clip_of(state, manifest.clip, manifest.rate)
    return {CLIP: clip, CLIP_MAP: branch.infer({CLIP: clip})[NEWEST_MAP]}
