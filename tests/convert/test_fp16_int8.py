"""What INT8 has left over, in FP16: scales and types in the graph, the answers, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from convert import fp16, onnx_file, quantize
from convert.calibration import Input
from convert.quantize import QuantizeError, QuantizeSettings
from edge.engines import onnxruntime_engine
from edge.manifest import INPUT, WEIGHTS_KEY
from tests.support.real_builder import build_for_real
from tests.support.untrained_model import MANIFEST

HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


def images(count: int = 2) -> list[Input]:
    random = np.random.default_rng(0)
    size = 1, 6, MANIFEST.height, MANIFEST.width
    return [{INPUT: random.normal(size=size).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def int8(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An INT8 file for TensorRT; one channel of a convolution has no weights."""
    folder = tmp_path_factory.mktemp("int8")
    model, manifest = onnx_file.read(untrained)
    body = next(node for node in model.graph.node if node.name == "/detector/neck/smooth.0/smooth.0.2/Conv")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == body.input[1])
    weights = numpy_helper.to_array(tensor).copy()
    weights[0] = 1e-8
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    onnx_file.write(model, manifest, folder / "fp32.onnx")
    quantize.quantize(folder / "fp32.onnx", folder / "int8.onnx", images(), QuantizeSettings("minmax"))
    return folder / "int8.onnx"


@pytest.fixture(scope="module")
def mixed(int8: Path) -> Path:
    output = int8.with_name("mixed.onnx")
    fp16.convert_file(int8, output)
    return output


def test_the_manifest_says_both_and_keeps_the_hash_of_the_weights(int8: Path, mixed: Path) -> None:
    before, after = onnx_file.read(int8)[1], onnx_file.read(mixed)[1]
    assert after.precision == "int8"
    assert after.training["quantisation"] == {**before.training["quantisation"], "rest": "fp16"}
    assert after.training[WEIGHTS_KEY] == before.training[WEIGHTS_KEY]
    assert "scores" not in after.training


def test_scales_of_the_body_are_half_and_none_is_zero(mixed: Path) -> None:
    model = onnx.load(mixed)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 50
    for node in pairs:
        assert stored[node.input[1]].data_type == HALF
        assert numpy_helper.to_array(stored[node.input[1]]).min() > 0


def test_a_tensor_that_is_nearly_nothing_keeps_a_scale(int8: Path) -> None:
    """As the activations of a network that has not been trained may be."""
    model = onnx.load(int8)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    pair = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    constants[pair.input[1]].CopyFrom(numpy_helper.from_array(np.array(1e-12, np.float32), pair.input[1]))
    made = {tensor.name: tensor for tensor in fp16.with_fp16_scales(model).graph.initializer}
    assert numpy_helper.to_array(made[pair.input[1]]).astype(np.float16) > 0


def test_convolutions_compute_in_half_but_the_first_and_the_last(untrained: Path, mixed: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(mixed))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    kept = {*quantize.always_kept(onnx.load(untrained))}
    found = {node.name: types[node.output[0]] for node in model.graph.node if node.op_type == "Conv"}
    assert {name for name, kind in found.items() if kind == SINGLE} == kept & found.keys()
    assert {kind for name, kind in found.items() if name not in kept} == {HALF}


def test_onnx_finds_types_and_order_right(mixed: Path) -> None:
    onnx.checker.check_model(onnx.load(mixed), full_check=True)


def test_it_is_as_near_to_fp32_as_the_int8_file(int8: Path, mixed: Path) -> None:
    """Not near to that file: where FP16 rounds a value to the next of 256 levels, all that follows differs."""
    exact, rounded, half = (
        np.concatenate([onnxruntime_engine.load(path, threads=1).infer(one)["scores"] for one in images()])
        for path in (int8.with_name("fp32.onnx"), int8, mixed)
    )
    error, usual = (np.abs(scores - exact).mean() for scores in (half, rounded))
    assert 0 < usual < 0.2
    assert error < 1.5 * usual


def test_onnx_runtime_changes_no_answer_by_quantising_biases(mixed: Path, int8: Path) -> None:
    """One of its optimizers multiplies two scales in FP16; without any it answers what the file says."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(mixed), options, providers=["CPUExecutionProvider"])
    exact = onnxruntime_engine.load(int8.with_name("fp32.onnx"), threads=1)
    ours = onnxruntime_engine.load(mixed, threads=1)

    def error(found: list[np.ndarray]) -> float:
        wanted = [exact.infer(one)["class_scores"] for one in images()]
        return float(np.mean([np.abs(one - other).mean() for one, other in zip(found, wanted, strict=True)]))

    told = error([plain.run(["class_scores"], one)[0] for one in images()])
    assert error([ours.infer(one)["class_scores"] for one in images()]) < 1.3 * told


def test_nvidias_builder_takes_it(mixed: Path, tmp_path: Path) -> None:
    assert build_for_real(mixed, tmp_path).precision == "int8"


@pytest.mark.parametrize(
    ("noted", "message"),
    [({"target": "cpu"}, "quantised for CPUs"), ({"rest": "fp16"}, "computes in fp16 already")],
)
def test_what_it_is_not_made_from(int8: Path, tmp_path: Path, noted: dict[str, str], message: str) -> None:
    model, manifest = onnx_file.read(int8)
    onnx_file.write(model, replace(manifest, training={"quantisation": noted}), tmp_path / "odd.onnx")
    with pytest.raises(QuantizeError, match=message):
        fp16.convert_file(tmp_path / "odd.onnx", tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()
