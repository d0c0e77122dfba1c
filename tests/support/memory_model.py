"""A detector of some kilobytes with a memory: a decaying sum of each picture's brightness, which is its features.

After a picture of brightness x, 0 to 1, of all colours, the sum s becomes s / 2 + x: of pictures that are white
throughout 1, 1.5, 1.75 ...; the detector finds what the spot model finds, but its score is a quarter of s.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge import manifest as manifests
from edge.engines.memory_file import memory_path
from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from edge.motion_map import MotionSettings
from tests.support import spot_model
from tests.support.frame_model import write_frame_model

INTERVAL = 0.16  # seconds: four frames of 25 a second
SIDE = 8  # pixels of the memory's input
KEEP = 0.5  # of the sum


@dataclass(frozen=True)
class MemoryModel:
    """Both files, and the detector's manifest."""

    detector: Path
    memory: Path
    manifest: Manifest


def write_memory_model(
    folder: Path,
    name: str = "spot",
    preprocessing: manifests.Preprocessing = "outside",
    motion: MotionSettings | None = None,
) -> MemoryModel:
    """NAME.onnx and its memory.

    `motion`: its motion map; None: none, or the previous frame with preprocessing inside.
    """
    written = write_memory(folder / "memory.onnx")
    network = described(_sha256(written))
    detector = folder / f"{name}.onnx"
    memory = written.replace(memory_path(detector, network))
    return MemoryModel(detector, memory, write_detector(detector, network, preprocessing, motion))


def described(sha256: str) -> MemoryNetwork:
    """What the manifest says of a memory of that hash."""
    return MemoryNetwork("0" * 64, 4, SIDE, (2, 1, 1), (1, 3, 3), sha256, ((1, 2, 1, 1), (1,)))


def write_detector(
    path: Path,
    network: MemoryNetwork,
    preprocessing: manifests.Preprocessing = "outside",
    motion: MotionSettings | None = None,
) -> Manifest:
    """The detector alone, for that memory; its manifest."""
    motion = motion or MotionSettings("none" if preprocessing == "outside" else "previous")
    manifest = replace(spot_model.MANIFEST, motion=motion, preprocessing=preprocessing, memory=network)
    if preprocessing == "graph":
        write_frame_model(path, manifest)
    else:
        spot_model.write_spot_model(path, manifest)
    _read_maps(path, manifest)
    return manifest


def write_memory(path: Path, keep: float = KEEP) -> Path:
    """Part 0, (B, 1, 2, 1, 1): the sum, twice; part 1, (B, 1): how many pictures; features: the sum."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, floats = onnx.helper, onnx.helper.make_node, onnx.TensorProto.FLOAT
    constants = {
        "keep": helper.make_tensor("keep", floats, [1], [keep]),
        "one": helper.make_tensor("one", floats, [1], [1.0]),
        "zero": helper.make_tensor("zero", floats, [1, 1, 3, 3], [0.0] * 9),
        "time_axis": helper.make_tensor("time_axis", onnx.TensorProto.INT64, [1], [1]),
    }
    nodes = [
        node("ReduceMean", ["image"], ["brightness"], axes=[1, 2, 3], keepdims=1),  # (B, 1, 1, 1)
        node("Squeeze", ["memory_0", "time_axis"], ["sum"]),  # (B, 2, 1, 1)
        node("Mul", ["sum", "keep"], ["kept"]),
        node("Add", ["kept", "brightness"], ["features"]),
        node("Unsqueeze", ["features", "time_axis"], ["next_memory_0"]),
        node("Add", ["memory_1", "one"], ["next_memory_1"]),
        node("Add", ["brightness", "zero"], ["tap"]),
    ]
    shapes = {"image": [3, SIDE, SIDE], "memory_0": [1, 2, 1, 1], "memory_1": [1]}
    results = {"features": [2, 1, 1], "tap": [1, 3, 3], "next_memory_0": [1, 2, 1, 1], "next_memory_1": [1]}
    inputs, outputs = (
        [helper.make_tensor_value_info(one, floats, ["batch", *shape]) for one, shape in given.items()]
        for given in (shapes, results)
    )
    graph = helper.make_graph(nodes, "memory", inputs, outputs, list(constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def _read_maps(path: Path, manifest: Manifest) -> None:
    """Let the score be a quarter of the features' mean, wherever the box is; of tap and placement it takes nothing."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, kinds = onnx.helper, onnx.helper.make_node, onnx.TensorProto
    model = onnx.load(str(path))
    graph = model.graph
    place = next(index for index, one in enumerate(graph.node) if "scores" in one.output)
    del graph.node[place]
    added = [
        node("ReduceMean", ["features"], ["features_mean"], axes=[1, 2, 3], keepdims=0),
        node("ReduceMean", ["tap"], ["tap_mean"], axes=[1, 2, 3], keepdims=0),
        node("ReduceMean", ["placement"], ["placement_mean"], axes=[1], keepdims=0),
        node("Add", ["tap_mean", "placement_mean"], ["others"]),
        node("Sub", ["others", "others"], ["nothing"]),
        node("Add", ["features_mean", "nothing"], ["seen"]),
        node("Unsqueeze", ["seen", "one"], ["seen_column"]),
        node("Mul", ["seen_column", "quarter"], ["scores"]),
    ]
    for offset, one in enumerate(added):
        graph.node.insert(place + offset, one)
    graph.initializer.append(helper.make_tensor("quarter", kinds.FLOAT, [1], [0.25]))
    graph.input.extend(
        helper.make_tensor_value_info(name, kinds.FLOAT, ["batch", *shape[1:]])
        for name, shape in manifests.memory_shapes(manifest, 1).items()
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
