"""Puts preprocessing and motion map in front of an exported network: frames go in, detections come out. Pure.

Whatever the network's precision is, the graft computes in FP32: `docs/motion.md` says where FP16 would lose the choice.
"""

import numpy as np
import onnx
from onnx import helper

from convert import onnx_graph
from convert.graph_fit import fit, fits_as_cv2
from convert.graph_motion import MotionGraph, normalisation
from convert.graph_nodes import GraphNodes
from edge.manifest import FITTED, FRAME, INPUT, MOTION, PREVIOUS, SHIFT, Manifest, memory_shapes
from edge.motion_map import IDENTITY

LARGEST_MEAN = 100.0  # of a colour: beyond, float32 does not keep single grey levels


class GraftError(Exception):
    """A model that cannot prepare frames itself."""


def with_preprocessing(model: onnx.ModelProto, manifest: Manifest) -> onnx.ModelProto:
    """A copy that takes FRAME and PREVIOUS instead of INPUT, and gives FITTED, MOTION and SHIFT besides.

    MEMORY_INPUTS it takes as before. `manifest` is that of the model, without preprocessing. Raises GraftError.
    """
    check(manifest)
    grafted = onnx.ModelProto()
    grafted.CopyFrom(model)
    onnx_graph.sort_nodes(grafted)  # as ONNX demands, and its quantisers leave undone
    graph = grafted.graph
    batch = next(value for value in graph.input if value.name == INPUT).type.tensor_type.shape.dim[0]
    nodes = GraphNodes(grafted.opset_import[0].version)
    _add(nodes, manifest)
    network, of_memory = list(graph.node), memory_shapes(manifest, 1)
    further = [value for value in graph.input if value.name in of_memory]
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes.nodes, *network])
    graph.initializer.extend(nodes.constants.values())
    size = batch.dim_value or batch.dim_param or "batch"
    image = (size, 3, manifest.height, manifest.width)
    uint8, single, int64 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    describe = helper.make_tensor_value_info
    graph.input.append(describe(FRAME, uint8, (size, "frame_height", "frame_width", 3)))
    graph.output.append(describe(FITTED, single, image))
    if manifest.motion.kind != "none":
        graph.input.append(describe(PREVIOUS, single, image))
        graph.output.extend([describe(MOTION, single, image), describe(SHIFT, int64, (size,))])
    graph.input.extend(further)
    return grafted


def check(manifest: Manifest) -> None:
    """Before the work: GraftError for a model that cannot prepare frames itself."""
    if manifest.preprocessing == "graph":
        raise GraftError(f"{manifest.name}: prepares frames itself already")
    if manifest.clip is not None:
        raise GraftError(
            f"{manifest.name}: sees clips, whose frames the device prepares and keeps; leave --with-motion away"
        )
    if manifest.motion.kind == "flow":
        raise GraftError(
            f"{manifest.name}: reads optical flow, which ONNX has no operator for; leave --with-motion away, "
            "and the device computes it as before"
        )
    if not fits_as_cv2(manifest):
        raise GraftError(
            f"{manifest.name}: at {manifest.width}x{manifest.height} px a graph does not fit every frame as OpenCV "
            "does; leave --with-motion away, and the device fits them as before"
        )
    if np.abs(manifest.mean).max() > LARGEST_MEAN:
        raise GraftError(f"{manifest.name}: its mean {manifest.mean} is beyond {LARGEST_MEAN:g}, too much for float32")


def _add(nodes: GraphNodes, manifest: Manifest) -> None:
    """All that lies between FRAME and INPUT."""
    scale = normalisation(manifest)
    levels = fit(nodes, FRAME, manifest)
    fitted = nodes.add("Add", nodes.times(levels, scale.gain), nodes.constant(scale.lift), output=FITTED)
    kind = manifest.motion.kind
    if kind == "none":
        nodes.add("Identity", fitted, output=INPUT)
        return
    chosen = None
    if kind == "previous":
        motion = nodes.add("Identity", PREVIOUS, output=MOTION)
    else:
        found, chosen = MotionGraph(nodes, manifest).similarity(PREVIOUS, fitted, levels)
        factor, term = (-0.5, 0.5) if kind == "dsim" else (1, 0)
        motion = nodes.add("Add", nodes.times(found, factor), nodes.constant(float(term)), output=MOTION)
    nodes.cast(nodes.reshape(chosen or _identity(nodes), -1), "int64", output=SHIFT)
    nodes.add("Concat", fitted, motion, axis=1, output=INPUT)


def _identity(nodes: GraphNodes) -> str:
    """The shift of a model that chooses none, once for each frame."""
    lowest = nodes.reduce("ReduceMin", PREVIOUS, [1, 2, 3], keep=False)
    return nodes.plus(nodes.times(lowest, 0.0), IDENTITY)
