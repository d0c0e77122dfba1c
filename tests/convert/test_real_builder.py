"""What we ship, and networks with faults, through NVIDIA's own parser and builder."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import manifest as manifests
from edge.engines import engine_record
from edge.engines.engine_build import build
from edge.engines.engine_record import version_fault
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.engines.tensorrt_builder import EngineBuildError
from tests.support.paths import ROOT
from tests.support.real_builder import GPU, build_for_real, real_builder
from tests.support.tiny_model import MANIFEST, SIZE, write_tiny_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
SHIPPED = sorted((ROOT / "models").glob("korsal-*.onnx"))
MODELS = [path for path in SHIPPED if "cpu" not in path.stem]  # that flavour is for ONNX Runtime alone
CHANNELS, SCALE = 8, 0.05


@pytest.fixture(autouse=True)
def tensorrt_rtx() -> Any:
    return real_builder()


def altered(path: Path, change: Callable[[Any], None]) -> Path:
    model = onnx.load(str(write_tiny_model(path)))
    change(model)
    onnx.save(model, str(path))
    return path


def with_convolution(quantised_bias: bool) -> Callable[[Any], None]:
    """Puts a convolution with Q/DQ as TensorRT takes it, or with ONNX Runtime's int32 bias, before the network."""
    numpy_helper, node = onnx.numpy_helper, onnx.helper.make_node
    weights = np.random.default_rng(0).integers(-127, 128, (CHANNELS, 3, 3, 3), np.int8)
    bias = np.arange(CHANNELS)
    constants = {
        "scale": np.array(SCALE, np.float32),
        "zero": np.array(0, np.int8),
        "weights": weights,
        "bias": bias.astype(np.int32 if quantised_bias else np.float32),
        "bias_zero": np.array(0, np.int32),
    }
    nodes = [
        node("QuantizeLinear", ["image", "scale", "zero"], ["image_q"]),
        node("DequantizeLinear", ["image_q", "scale", "zero"], ["image_dq"]),
        node("DequantizeLinear", ["weights", "scale", "zero"], ["weights_dq"]),
        node("DequantizeLinear", ["bias", "scale", "bias_zero"], ["bias_dq"], name="/conv/bias/dq"),
        node("Conv", ["image_dq", "weights_dq", "bias_dq" if quantised_bias else "bias"], ["maps"], pads=[1, 1, 1, 1]),
    ]
    if not quantised_bias:
        del nodes[3], constants["bias_zero"]

    def change(model: Any) -> None:
        graph = model.graph
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
        kept = list(graph.node)
        reduced = next(n for n in kept if n.op_type == "ReduceMean")
        reduced.input[0] = "maps"
        del graph.node[:]
        graph.node.extend([*nodes, *kept])
        text = manifests.to_json(replace(MANIFEST, precision="int8"))
        onnx.helper.set_model_props(model, {manifests.METADATA_KEY: text})

    return change


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_what_we_ship_is_parsed_checked_and_serialised(path: Path, tmp_path: Path, tensorrt_rtx: Any) -> None:
    record = build_for_real(path, tmp_path)
    engine = tmp_path / f"{path.stem}.engine"
    assert engine.stat().st_size > 100_000
    assert record.platform.tensorrt == tensorrt_rtx.__version__
    assert engine_record.from_json(engine_record.beside(engine).read_text()) == record
    assert "is an engine of TensorRT-RTX" in version_fault(engine.read_bytes()[:28], (11, 4))


def test_progress_is_reported(tmp_path: Path, tensorrt_rtx: Any) -> None:
    phases: list[tuple[str, int, int]] = []
    options = BuildOptions(target=GPU)
    path = write_tiny_model(tmp_path / "tiny.onnx")
    build(tensorrt_rtx, path, tmp_path / "tiny.engine", options, progress=lambda *step: phases.append(step))
    assert any(" › " in phase for phase, _, _ in phases)
    assert all(1 <= step <= steps for _, step, steps in phases)


def test_an_impatient_user(tmp_path: Path, tensorrt_rtx: Any) -> None:
    def interrupt(phase: str, step: int, steps: int) -> None:
        raise KeyboardInterrupt

    path = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(KeyboardInterrupt):
        build(tensorrt_rtx, path, tmp_path / "tiny.engine", BuildOptions(target=GPU), progress=interrupt)
    assert list(tmp_path.iterdir()) == [path]


def test_an_operator_that_does_not_exist(tmp_path: Path) -> None:
    def invent(model: Any) -> None:
        model.graph.node[-1].op_type, model.graph.node[-1].name = "Divine", "/head/label"

    with pytest.raises(EngineBuildError, match=r"refuses it: operator Divine of layer /head/label: .*; build for"):
        build_for_real(altered(tmp_path / "odd.onnx", invent), tmp_path, max_batch=1)


def test_q_dq_as_we_write_it(tmp_path: Path) -> None:
    path = altered(tmp_path / "good.onnx", with_convolution(quantised_bias=False))
    assert build_for_real(path, tmp_path, max_batch=1).precision == "int8"


def test_int32_biases_as_onnx_runtime_writes_them(tmp_path: Path) -> None:
    path = altered(tmp_path / "bias.onnx", with_convolution(quantised_bias=True))
    with pytest.raises(EngineBuildError, match="refuses it: operator DequantizeLinear of layer /conv/bias/dq: "):
        build_for_real(path, tmp_path, max_batch=1)


def test_a_network_that_cannot_take_that_batch(tmp_path: Path) -> None:
    """It is parsed, but its reshape is made for one image."""

    def free_the_batch(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"

    with pytest.raises(EngineBuildError, match=r"did not build it \(TensorRT: .*reshape would change volume"):
        build_for_real(altered(tmp_path / "one.onnx", free_the_batch), tmp_path)


def test_a_network_of_another_size(tmp_path: Path) -> None:
    text = manifests.to_json(replace(MANIFEST, height=2 * SIZE))
    path = altered(tmp_path / "odd.onnx", lambda m: onnx.helper.set_model_props(m, {manifests.METADATA_KEY: text}))
    with pytest.raises(EngineBuildError, match=re.escape(f"its input is {{'image': (3, {SIZE}, {SIZE})}}, unlike")):
        build_for_real(path, tmp_path, max_batch=1)


def test_a_gpu_that_it_does_not_know(tmp_path: Path, tensorrt_rtx: Any) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(EngineBuildError, match=r"cannot build for SM87; it knows SM120, .*SM86, SM89"):
        build(tensorrt_rtx, path, tmp_path / "tiny.engine", BuildOptions(target="SM87"))
