"""The exported network, quantised: what is in the graph, what it answers, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import quantize_static

from convert import onnx_file, onnx_graph, quantize, sensitivity
from convert.calibration import Input
from convert.onnx_file import OnnxFileError
from convert.quantize import QuantizeError, QuantizeSettings
from edge.engines import onnxruntime_engine
from edge.engines.tensorrt_builder import EngineBuildError
from edge.manifest import INPUT
from tests.support.full_disk import full_disk
from tests.support.real_builder import build_for_real, real_builder
from tests.support.spot_model import write_spot_model
from tests.support.untrained_model import MANIFEST

Quantised = Callable[[QuantizeSettings], Path]


def images(count: int = 4) -> list[Input]:
    random = np.random.default_rng(0)
    size = 1, 6, MANIFEST.height, MANIFEST.width
    return [{INPUT: random.normal(size=size).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def int8(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("int8") / "int8.onnx"
    quantize.quantize(untrained, output, images(), QuantizeSettings("minmax"))
    return output


def nodes(path: Path, kind: str) -> list[onnx.NodeProto]:
    return [node for node in onnx.load(path).graph.node if node.op_type == kind]


def producers(path: Path) -> dict[str, onnx.NodeProto]:
    return {name: node for node in onnx.load(path).graph.node for name in node.output}


def test_what_stands_where_in_the_graph(untrained: Path) -> None:
    model = onnx.load(untrained)
    assert {name.split("/")[-2] for name in onnx_graph.first_convolutions(model)} == {"stem.0", "motion.0"}
    assert {name.split("/")[-2] for name in onnx_graph.last_convolutions(model)} == {"heatmap.3", "box.3"}
    kinds = {node.op_type for node in model.graph.node if node.name in onnx_graph.decoding(model)}
    assert {"TopK", "MaxPool", "Sigmoid", "Exp"} <= kinds
    assert not kinds & {"Conv", "Resize"}


def test_convolutions_read_int8_and_the_first_and_last_do_not(untrained: Path, int8: Path) -> None:
    known = producers(int8)
    floating = quantize.always_kept(onnx.load(untrained))
    for node in nodes(int8, "Conv"):
        kinds = [known[name].op_type if name in known else "" for name in node.input[:2]]
        assert (kinds == ["DequantizeLinear"] * 2) == (node.name not in floating), node.name


def test_tensorrt_gets_symmetric_int8_and_no_quantised_bias(int8: Path) -> None:
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(int8).graph.initializer}
    pairs = nodes(int8, "DequantizeLinear")
    assert pairs
    for node in pairs:
        assert stored[node.input[2]].dtype == np.int8
        assert not stored[node.input[2]].any()  # zero points
    weights = [node for node in pairs if node.input[0] in stored]
    assert all(stored[node.input[1]].shape == stored[node.input[0]].shape[:1] for node in weights)  # per channel
    assert all(stored[node.input[0]].dtype == np.int8 for node in weights)


def test_nvidias_builder_takes_it(int8: Path, tmp_path: Path) -> None:
    assert build_for_real(int8, tmp_path).precision == "int8"
    assert (tmp_path / "int8.engine").stat().st_size > 1_000_000


class Reader:
    """Calibration data in the shape that onnxruntime asks for."""

    def __init__(self) -> None:
        self._images = iter(images())

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else dict(image)


def test_nvidias_builder_refuses_onnx_runtimes_own_options(untrained: Path, tmp_path: Path) -> None:
    """They quantise the biases, to int32."""
    real_builder()
    path = tmp_path / "default.onnx"
    quantize_static(untrained, path, Reader())
    _, manifest = quantize.open_model(untrained)
    onnx_file.write(onnx.load(path), quantize.int8_manifest(manifest, QuantizeSettings("minmax")), path)
    with pytest.raises(EngineBuildError, match=r"refuses it: operator DequantizeLinear of layer \S+bias\S+: .*Int32"):
        build_for_real(path, tmp_path)


def test_the_cpu_flavour_is_unsigned_with_weights_in_seven_bits(untrained: Path, tmp_path: Path) -> None:
    output = tmp_path / "cpu.onnx"
    quantize.quantize(untrained, output, images(), QuantizeSettings("minmax", "cpu"))
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(output).graph.initializer}
    activations = [stored[node.input[2]].dtype for node in nodes(output, "QuantizeLinear")]
    assert set(activations) == {np.dtype(np.uint8)}
    weights = [stored[node.input[0]] for node in nodes(output, "DequantizeLinear") if node.input[0] in stored]
    assert max(np.abs(w.astype(np.int64)).max() for w in weights if w.dtype == np.int8) <= 64
    onnxruntime_engine.load(output, threads=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["entropy", "percentile", "minmax"])
def test_every_method_answers_nearly_as_before(method: quantize.Method, untrained: Path, tmp_path: Path) -> None:
    output = tmp_path / f"{method}.onnx"
    found = quantize.quantize(untrained, output, images(1), QuantizeSettings(method))
    assert found.precision == "int8"
    assert found.training["quantisation"] == {"method": method, "target": "tensorrt", "keep": []}
    assert "scores" not in found.training  # those of another file
    exact, rounded = (onnxruntime_engine.load(path, threads=1).infer(images(1)[0]) for path in (untrained, output))
    assert np.abs(exact["scores"] - rounded["scores"]).mean() < 0.05
    assert output.stat().st_size < 0.35 * untrained.stat().st_size


def test_the_order_and_number_of_chunks_change_nothing(untrained: Path) -> None:
    settings = QuantizeSettings("minmax")
    many = images(quantize.CHUNK + 3)
    forth, back = (quantize.calibrate(untrained, order, settings) for order in (many, many[::-1]))
    assert forth.keys() == back.keys()
    for name in forth.keys():  # noqa: SIM118  no dict, though it looks like one
        assert forth[name].range_value == back[name].range_value


def test_kept_nodes_stay(untrained: Path, tmp_path: Path) -> None:
    name = next(name for name in onnx_graph.convolutions(onnx.load(untrained)) if "stages.3" in name)
    output = tmp_path / "kept.onnx"
    quantize.quantize(untrained, output, images(), QuantizeSettings("minmax", keep=(name,)))
    node = next(node for node in nodes(output, "Conv") if node.name == name)
    assert node.input[1] not in producers(output)


def test_sensitivity_names_every_quantised_convolution(untrained: Path) -> None:
    model, _ = quantize.open_model(untrained)
    settings = QuantizeSettings("minmax")
    losses = list(
        sensitivity.sensitivity(model, quantize.calibrate(untrained, images(), settings), images(1), settings)
    )
    free = set(onnx_graph.convolutions(model)) - quantize.always_kept(model)
    assert {loss.node for loss in losses} == free
    assert all(0 < loss.decibels < 200 for loss in losses)
    first, second = sensitivity.worst(losses, 2)
    by_node = {loss.node: loss.decibels for loss in losses}
    assert by_node[first] <= by_node[second] <= min(by_node[n] for n in free - {first, second})


def test_decibels() -> None:
    # 20 dB: the noise has a tenth of the signal's amplitude
    signal = np.ones((2, 3), np.float32)
    assert sensitivity.decibels([signal], [signal * np.float32(1.1)]) == pytest.approx(20, abs=1e-4)
    assert sensitivity.decibels([signal, signal], [signal, signal * 2]) == pytest.approx(0)
    assert sensitivity.decibels([signal], [signal]) == float("inf")


def test_a_node_that_is_not_there_cannot_be_kept(untrained: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match="--keep nothing: the model has no such node"):
        quantize.quantize(untrained, tmp_path / "x.onnx", images(), QuantizeSettings("minmax", keep=("nothing",)))
    assert not list(tmp_path.iterdir())


def test_what_is_no_fp32_model_is_refused(untrained: Path, int8: Path, tmp_path: Path) -> None:
    broken, bare = tmp_path / "broken.onnx", tmp_path / "bare.onnx"
    broken.write_bytes(untrained.read_bytes()[:5000])
    model = onnx.load(untrained)
    del model.metadata_props[:]
    onnx.save(model, bare)
    for path, message in (
        (tmp_path / "none.onnx", "cannot be read"),
        (broken, "is not a complete ONNX file"),
        (bare, "has no korsal-edge manifest"),
        (int8, "is int8 already"),
        (write_spot_model(tmp_path / "spot.onnx"), "has no convolution; give the network that"),
    ):
        with pytest.raises((OnnxFileError, QuantizeError), match=message):
            quantize.quantize(path, tmp_path / "out.onnx", images(), QuantizeSettings())
    assert not (tmp_path / "out.onnx").exists()


def test_images_of_another_shape_are_refused(untrained: Path, tmp_path: Path) -> None:
    images = [{INPUT: np.zeros((1, 3, 64, 96), np.float32)}]
    sentence = r"calibration with an input image of shape \(1, 3, 64, 96\), but the model takes \(1, 6"
    with pytest.raises(QuantizeError, match=sentence):
        quantize.quantize(untrained, tmp_path / "x.onnx", images, QuantizeSettings())


def test_a_folder_that_cannot_be_written_is_named(untrained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OnnxFileError, match="cannot be written"):
        quantize.quantize(untrained, tmp_path / "file" / "x.onnx", images(), QuantizeSettings("minmax"))


@pytest.mark.parametrize("megabytes", [0, 13])  # the model's copy does not fit, what is made of it does not
def test_a_disk_that_fills_while_calibrating(megabytes: int, untrained: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.onnx"
    output.write_bytes(b"the old one")
    beside = sorted(untrained.parent.iterdir())
    limit = megabytes and untrained.stat().st_size + 1000
    with pytest.raises(QuantizeError, match=r"calibration cannot write to .+ \(.+\); free space"), full_disk(limit):
        quantize.quantize(untrained, output, images(), QuantizeSettings("minmax"))
    assert output.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [output]
    assert sorted(untrained.parent.iterdir()) == beside
