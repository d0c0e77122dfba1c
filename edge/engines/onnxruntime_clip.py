"""Opens the network of a model that makes maps of clips, in ONNX Runtime. Shell."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.clip import CLIP, NEWEST_MAP
from edge.clip_branch import ClipBranch
from edge.engines.onnxruntime_session import CheckedModel, failures, largest_batch
from edge.inference import EngineError
from edge.manifest import clip_shapes, newest_map_shapes
from edge.text import first_line


def opened(model: CheckedModel, open_session: Callable[[], Any], running: Any) -> ClipBranch:
    """The network in `model`, once it has run on zeros; `running`: the options of each run. Raises EngineError."""
    session, path, manifest = open_session(), model.path, model.manifest
    (wanted,) = (shape[1:] for shape in clip_shapes(manifest, 1).values())
    given = {one.name: tuple(one.shape[1:]) for one in session.get_inputs()}
    if given != {CLIP: wanted}:
        raise EngineError(f"{path}: its clip is {given.get(CLIP)}, but its manifest says {wanted}; export it again")
    raised = failures()

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            (found,) = session.run([NEWEST_MAP], dict(inputs), running)
        except raised as error:
            raise EngineError(f"{path}: does not run ({first_line(error)}); export it again") from error
        return {NEWEST_MAP: found}

    found = infer({CLIP: np.zeros((1, *wanted), np.float32)})[NEWEST_MAP].shape
    _require(found, newest_map_shapes(manifest, 1)[NEWEST_MAP], model)
    return ClipBranch(infer, largest_batch(session))


def _require(found: Sequence[int], wanted: Sequence[int], model: CheckedModel) -> None:
    if tuple(found) != tuple(wanted):
        raise EngineError(
            f"{model.path}: its map of a clip is {tuple(found)}, but its manifest says {tuple(wanted)}; export it again"
        )
