"""A model of some kilobytes that takes frames: the spot model behind a preprocessing that picks the nearest pixels.

Its motion map is the previous frame. A frame of the input's size it prepares as `edge.detector.normalise` does.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.manifest import FITTED, FRAME, INPUT, MOTION, PREVIOUS, SHIFT, Manifest
from edge.motion_map import IDENTITY, MotionSettings
from tests.support import spot_model

MANIFEST = replace(spot_model.MANIFEST, motion=MotionSettings("previous"), preprocessing="graph")


def write_frame_model(path: Path, manifest: Manifest = MANIFEST, without: tuple[str, ...] = ()) -> Path:
    """The model; motion kinds other than `previous` and `none` are computed as `previous`.

    `without`: names of outputs that it shall lack.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, kinds = onnx.helper, onnx.helper.make_node, onnx.TensorProto
    model = onnx.load(str(spot_model.write_spot_model(path, manifest)))
    moves = manifest.motion.kind != "none"
    height, width = manifest.height, manifest.width
    mean, std = (np.array(colours, np.float64).reshape(1, 3, 1, 1) for colours in (manifest.mean, manifest.std))
    constants = {
        "rows": np.arange(height, dtype=np.int64),
        "columns": np.arange(width, dtype=np.int64),
        "height": np.array(height, np.int64),
        "width": np.array(width, np.int64),
        "gain": (1 / (255 * std)).astype(np.float32),
        "lift": (-mean / std).astype(np.float32),
        **{f"axis_{axis}": np.array(axis, np.int64) for axis in (1, 2)},
        "from_0": np.array([0], np.int64),
        "to_1": np.array([1], np.int64),
    }
    nodes = [node("Shape", [FRAME], ["frame_shape"])]
    for name, axis, side in (("rows", "1", "height"), ("columns", "2", "width")):
        nodes += [
            node("Gather", ["frame_shape", f"axis_{axis}"], [f"frame_{side}"]),
            node("Mul", [name, f"frame_{side}"], [f"scaled_{name}"]),
            node("Div", [f"scaled_{name}", side], [f"nearest_{name}"]),
        ]
    nodes += [
        node("Gather", [FRAME, "nearest_rows"], ["picked_rows"], axis=1),
        node("Gather", ["picked_rows", "nearest_columns"], ["picked"], axis=2),
        node("Cast", ["picked"], ["floats"], to=kinds.FLOAT),
        node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        node("Mul", ["planes", "gain"], ["scaled"]),
        node("Add", ["scaled", "lift"], [FITTED]),
        node("Slice", ["frame_shape", "from_0", "to_1"], ["batch_shape"]),
        node(
            "ConstantOfShape", ["batch_shape"], [SHIFT], value=helper.make_tensor("value", kinds.INT64, [1], [IDENTITY])
        ),
    ]
    nodes += [node("Identity", [PREVIOUS], [MOTION]), node("Concat", [FITTED, MOTION], [INPUT], axis=1)] * moves
    nodes += [node("Identity", [FITTED], [INPUT])] * (not moves)
    fitted = ["batch", 3, height, width]
    inputs = [helper.make_tensor_value_info(FRAME, kinds.UINT8, ["batch", "rows_given", "columns_given", 3])]
    inputs += [helper.make_tensor_value_info(PREVIOUS, kinds.FLOAT, fitted)] * moves
    outputs = [helper.make_tensor_value_info(FITTED, kinds.FLOAT, fitted)]
    outputs += [helper.make_tensor_value_info(MOTION, kinds.FLOAT, fitted)] * moves
    outputs += [helper.make_tensor_value_info(SHIFT, kinds.INT64, ["batch"])] * moves
    graph = model.graph
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    network = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *network])
    graph.input.extend(inputs)
    kept = [one for one in (*graph.output, *outputs) if one.name not in without]
    del graph.output[:]
    graph.output.extend(kept)
    helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
