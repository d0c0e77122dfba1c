"""A model of some kilobytes that sees clips: it finds what the spot model finds, its score is a clip's brightness.

The map of a clip holds in each channel how bright one of its frames is, 0 to 1, oldest first; the score is the mean of
them all.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP, ClipInput
from edge.manifest import Manifest, clip_shapes, input_shapes, newest_map_shapes
from edge.motion_map import MotionSettings
from tests.support import spot_model

FRAMES = 4


def described(clip: ClipInput, rate: float = 25.0) -> Manifest:
    """The manifest of such a model: pixels from 0 to 1, as many channels as frames."""
    whole = replace(clip, channels=clip.frames)
    plain = replace(spot_model.MANIFEST, mean=(0.0,) * 3, std=(1.0,) * 3, motion=MotionSettings("none"))
    return replace(plain, clip=whole, rate=rate)


def write_clip_model(
    path: Path, clip: ClipInput | None = None, manifest: Manifest | None = None, rate: float = 25.0
) -> Manifest:
    """The file, with another `manifest` than its own if one is given; returns its own."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, kinds = onnx.helper, onnx.helper.make_node, onnx.TensorProto
    made = described(clip or ClipInput(FRAMES), rate)
    spot_model.write_spot_model(path, made)
    model = onnx.load(str(path))
    graph = model.graph
    place = next(index for index, one in enumerate(graph.node) if "scores" in one.output)
    del graph.node[place]
    _, _, height, width = newest_map_shapes(made, 1)[NEWEST_MAP]
    added = [
        node("ReduceMean", [CLIP_MAP], ["brightness"], axes=[1, 2, 3], keepdims=0),
        node("Unsqueeze", ["brightness", "one"], ["scores"]),
    ]
    branch = [
        node("ReduceMean", [CLIP], ["brightness_of_frames"], axes=[1, 3, 4], keepdims=0),  # (B, L)
        node("Unsqueeze", ["brightness_of_frames", "last_axes"], ["cells"]),  # (B, L, 1, 1)
        node("Add", ["cells", "zeros"], [NEWEST_MAP]),
    ]
    for offset, one in enumerate(added):
        graph.node.insert(place + offset, one)
    graph.node.extend(branch)
    zeros = np.zeros((1, 1, height, width), np.float32)
    for name, value in (("zeros", zeros), ("last_axes", np.array([2, 3], np.int64))):
        graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    shapes = {**input_shapes(made, 1, (0, 0)), **clip_shapes(made, 1)}
    graph.input.extend(_value(helper, kinds, name, shapes[name]) for name in (CLIP_MAP, CLIP))
    graph.output.append(_value(helper, kinds, NEWEST_MAP, newest_map_shapes(made, 1)[NEWEST_MAP]))
    helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest or made)})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return made


def _value(helper: object, kinds: object, name: str, shape: tuple[int, ...]) -> object:
    made: object = helper.make_tensor_value_info(name, kinds.FLOAT, ["batch", *shape[1:]])  # type: ignore[attr-defined]
    return made
