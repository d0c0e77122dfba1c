"""`edge.inference.run_network` for a model that fits and compares frames itself (`preprocessing = "graph"`). Pure.

The model takes FRAME, uint8 frames of any one size, and as PREVIOUS the FITTED frames that it gave out before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import detector
from edge.inference import Infer, Lap, NetworkFrame, NetworkResult, Outputs, memory_inputs_of, of_one
from edge.manifest import FITTED, FRAME, MOTION, PREVIOUS, Manifest, input_shapes
from edge.motion_gap import Recall, recall

Fitted = NDArray[np.float32]  # (1, 3, h, w)
USUAL_FRAME = (1920, 1080)  # that TensorRT tunes for
ANY_SIZE = (-1, -1)  # of frames, (width, height)
LARGEST_FRAME = (3840, 2160)  # (width, height) that TensorRT builds for, pixels; larger ones are fitted on the CPU


@dataclass(frozen=True, eq=False)
class GraphInference:
    """An `edge.inference.RunFrames` over `infer`.

    A camera's motion state is its last FITTED frames with their times, oldest first.
    """

    infer: Infer
    manifest: Manifest

    def __call__(self, frames: Sequence[NetworkFrame], lap: Lap) -> list[NetworkResult]:
        """Run the model on the frames; fitting and motion map count as the network's time. Raises EngineError."""
        inputs: dict[str, NDArray[Any]] = {
            FRAME: np.stack(of_one_size(frames, self.manifest)),
            **memory_inputs_of(frames),
        }
        if has_motion(self.manifest):
            inputs[PREVIOUS] = np.concatenate([self._previous(frame) for frame in frames])
        lap("preprocess")
        lap("motion")
        outputs = self.infer(inputs)
        lap("network")
        return [
            NetworkResult(of_one(outputs, row), self._past(frame, outputs, row), partial(self._motion, outputs, row))
            for row, frame in enumerate(frames)
        ]

    def _previous(self, frame: NetworkFrame) -> Fitted:
        """The frame that lies `gap` back, the nearest there is, or zeros."""
        previous = _recall(frame).previous
        blank = (1, 3, self.manifest.height, self.manifest.width)
        return np.zeros(blank, np.float32) if previous is None else previous

    def _past(self, frame: NetworkFrame, outputs: Outputs, row: int) -> tuple[tuple[float, Fitted], ...]:
        if not has_motion(self.manifest):
            return ()
        return (*_recall(frame).kept, (frame.time, outputs[FITTED][row : row + 1]))

    def _motion(self, outputs: Outputs, row: int) -> NDArray[np.float32] | None:
        return outputs[MOTION][row].transpose(1, 2, 0) if has_motion(self.manifest) else None


def _recall(frame: NetworkFrame) -> Recall[Fitted]:
    past: tuple[tuple[float, Fitted], ...] = frame.motion_state or ()
    return recall(past, frame.time, frame.gap)


def has_motion(manifest: Manifest) -> bool:
    """Whether the model computes a motion map, and so takes PREVIOUS."""
    return manifest.motion.kind != "none"


def zeros(manifest: Manifest) -> dict[str, NDArray[Any]]:
    """One black frame of the input's size, and what else the model takes, to try it with."""
    shapes = input_shapes(manifest, 1, manifest.input_size)
    return {name: np.zeros(shape, np.uint8 if name == FRAME else np.float32) for name, shape in shapes.items()}


def of_one_size(
    frames: Sequence[NetworkFrame], manifest: Manifest, largest: tuple[int, int] | None = None
) -> list[NDArray[np.uint8]]:
    """The frames' images as one batch takes them: as they are, or all fitted where sizes differ.

    `largest`: (width, height) beyond which they are fitted too; None: any is taken. Of the input's size the model
    leaves a frame unchanged.
    """
    images = [frame.image for frame in frames]
    width, height = detector.frame_size(images[0])
    too_large = largest is not None and (width > largest[0] or height > largest[1])
    if too_large or any(image.shape != images[0].shape for image in images):
        return [detector.fit(image, manifest) for image in images]
    return images
