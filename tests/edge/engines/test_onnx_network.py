"""The network that is taken out of a model with its preprocessing inside, against onnx and ONNX Runtime."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.engines import onnx_metadata, onnxruntime_engine
from edge.engines.onnx_network import without_preprocessing
from edge.engines.protobuf import ProtobufError
from edge.manifest import INPUT, METADATA_KEY, OUTPUTS, Manifest
from edge.motion_map import MotionSettings
from tests.support import spot_model
from tests.support.frame_model import MANIFEST, write_frame_model
from tests.support.spot_model import write_spot_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")


def network(folder: Path, manifest: Manifest = MANIFEST) -> tuple[bytes, Manifest]:
    return without_preprocessing(write_frame_model(folder / "frames.onnx", manifest).read_bytes(), manifest)


@pytest.mark.parametrize("kind", ["previous", "none"])
def test_it_is_the_network_that_the_frames_went_into(kind: str, tmp_path: Path) -> None:
    manifest = replace(MANIFEST, motion=MotionSettings(kind))  # type: ignore[arg-type]
    content, outside = network(tmp_path, manifest)
    (tmp_path / "network.onnx").write_bytes(content)
    plain = onnxruntime_engine.load(
        write_spot_model(tmp_path / "plain.onnx", replace(manifest, preprocessing="outside"))
    )
    taken = onnxruntime_engine.load(tmp_path / "network.onnx")
    assert taken.manifest == outside == plain.manifest
    image = np.random.default_rng(1).normal(size=(2, manifest.channels, 64, 64)).astype(np.float32)
    first, second = plain.infer({INPUT: image}), taken.infer({INPUT: image})
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name])


def test_nothing_else_is_left(tmp_path: Path) -> None:
    content, _ = network(tmp_path)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    plain = onnx.load(str(write_spot_model(tmp_path / "plain.onnx", spot_model.MANIFEST)))
    assert [one.name for one in model.graph.input] == [INPUT]
    assert [one.name for one in model.graph.output] == list(OUTPUTS)
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in plain.graph.node]
    assert {one.name for one in model.graph.initializer} == {one.name for one in plain.graph.initializer}
    assert (model.ir_version, model.opset_import[0].version) == (plain.ir_version, plain.opset_import[0].version)
    assert onnx_metadata.read(content).keys() == {METADATA_KEY}


def test_other_metadata_stays(tmp_path: Path) -> None:
    path = write_frame_model(tmp_path / "frames.onnx")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"author": "Ada", METADATA_KEY: manifests.to_json(MANIFEST)})
    content, outside = without_preprocessing(model.SerializeToString(), MANIFEST)
    assert onnx_metadata.read(content) == {"author": "Ada", METADATA_KEY: manifests.to_json(outside)}


def test_what_a_sub_graph_reads_is_kept(tmp_path: Path) -> None:
    """A node inside an If reads tensors of the outer graph by name alone."""
    helper, kinds = onnx.helper, onnx.TensorProto
    model = onnx.load(str(write_frame_model(tmp_path / "frames.onnx")))
    scores = next(node for node in model.graph.node if "scores" in node.output)
    scores.output[0] = "plain_scores"
    inner = [
        helper.make_graph(
            [helper.make_node("Identity", ["plain_scores"], [f"{branch}_scores"])],
            branch,
            [],
            [helper.make_tensor_value_info(f"{branch}_scores", kinds.FLOAT, ["batch", 1])],
        )
        for branch in ("then", "else")
    ]
    place = list(model.graph.node).index(scores) + 1
    later = list(model.graph.node)[place:]
    del model.graph.node[place:]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "always"))
    model.graph.node.append(helper.make_node("If", ["always"], ["scores"], then_branch=inner[0], else_branch=inner[1]))
    model.graph.node.extend(later)
    content, _ = without_preprocessing(model.SerializeToString(), MANIFEST)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


def test_a_file_without_the_tensor_between_the_parts(tmp_path: Path) -> None:
    content = write_spot_model(tmp_path / "plain.onnx").read_bytes()
    with pytest.raises(ProtobufError, match="it has no tensor image between preprocessing and network"):
        without_preprocessing(content, MANIFEST)


def test_a_truncated_file(tmp_path: Path) -> None:
    content = write_frame_model(tmp_path / "frames.onnx").read_bytes()
    for length in range(1, len(content), 97):
        with pytest.raises(ProtobufError):
            without_preprocessing(content[:length], MANIFEST)
