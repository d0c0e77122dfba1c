"""The exported network in FP16: what is cast where, and that it answers as before."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convert import fp16, onnx_graph
from convert.quantize import QuantizeError
from edge.engines import onnxruntime_engine
from tests.support.real_builder import build_for_real
from tests.support.untrained_model import MANIFEST


@pytest.fixture(scope="module")
def converted(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("half") / "half.onnx"
    assert fp16.convert_file(untrained, output).precision == "fp16"
    return output


def test_it_answers_nearly_as_before_and_takes_and_gives_float32(untrained: Path, converted: Path) -> None:
    random = np.random.default_rng(0)
    image = random.normal(size=(2, 6, MANIFEST.height, MANIFEST.width)).astype(np.float32)
    exact, half = (onnxruntime_engine.load(path, threads=1).infer({"image": image}) for path in (untrained, converted))
    assert half["boxes"].dtype == np.float32
    np.testing.assert_allclose(half["scores"], exact["scores"], atol=0.02)
    assert converted.stat().st_size < 0.55 * untrained.stat().st_size


def test_casts_stand_only_at_the_borders_of_the_fp16_part(untrained: Path, converted: Path) -> None:
    before, after = onnx.load(untrained), onnx.load(converted)
    added = Counter(n.op_type for n in after.graph.node) - Counter(n.op_type for n in before.graph.node)
    # in: after the two first convolutions; out: in front of the two last ones
    assert added == {"Cast": 4}
    names = [node.name for node in after.graph.node]
    assert len(set(names)) == len(names)


def test_weights_of_the_body_are_half_and_all_others_are_not(untrained: Path, converted: Path) -> None:
    before, after = onnx.load(untrained), onnx.load(converted)
    body = onnx_graph.body(before)
    assert len(body) > 80
    stored = {tensor.name: numpy_helper.to_array(tensor).dtype for tensor in after.graph.initializer}
    for node in after.graph.node:
        if node.op_type == "Conv":
            assert {stored[name] for name in node.input[1:]} == {
                np.dtype(np.float16 if node.name in body else np.float32)
            }


def test_onnx_itself_finds_all_types_right(converted: Path) -> None:
    onnx.checker.check_model(onnx.load(converted), full_check=True)


def test_nvidias_builder_takes_it(converted: Path, tmp_path: Path) -> None:
    assert build_for_real(converted, tmp_path).precision == "fp16"
    assert (tmp_path / "half.engine").stat().st_size > 1_000_000


def test_a_weight_too_large_is_named(untrained: Path, tmp_path: Path) -> None:
    model = onnx.load(untrained)
    body = onnx_graph.body(model)
    name = next(node.input[1] for node in model.graph.node if node.op_type == "Conv" and node.name in body)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(1e5), name))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(QuantizeError, match="too large for FP16"):
        fp16.convert_file(tmp_path / "large.onnx", tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()
