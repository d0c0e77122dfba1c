"""INT8 by NVIDIA's Model Optimizer: over a fake of it, and over the real one where it is installed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from convert import modelopt_quantize, onnx_graph, quantize
from convert.calibration import Input
from convert.commands import command_line
from convert.quantize import QuantizeError, QuantizeSettings
from edge import packages
from edge.commands.demo import CLIP
from edge.engines import onnxruntime_engine
from edge.manifest import INPUT
from edge.shipped_files import asset_path
from tests.support import fake_modelopt
from tests.support.real_builder import build_for_real
from tests.support.untrained_model import MANIFEST

Told = Callable[[], Any]


def images(count: int = 4) -> list[Input]:
    random = np.random.default_rng(0)
    size = 1, 6, MANIFEST.height, MANIFEST.width
    return [{INPUT: random.normal(size=size).astype(np.float32)} for _ in range(count)]


def together(count: int) -> np.ndarray:
    return np.concatenate([one[INPUT] for one in images(count)])


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Puts the fake in the place of modelopt; gives what it was told."""
    fake_modelopt.install(tmp_path / "packages")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv(fake_modelopt.TOLD, str(tmp_path / "told.json"))
    return lambda: json.loads((tmp_path / "told.json").read_text())


def rounded(path: Path) -> set[str]:
    """The convolutions whose image is INT8."""
    model = onnx.load(path)
    known = {name: node.op_type for node in model.graph.node for name in node.output}
    return {n.name for n in model.graph.node if n.op_type == "Conv" and known.get(n.input[0]) == "DequantizeLinear"}


def test_frames_method_and_kept_nodes_are_handed_on(untrained: Path, tmp_path: Path, told: Told) -> None:
    model = onnx.load(untrained)
    name = next(name for name in onnx_graph.convolutions(model) if "stages.3" in name)
    output = tmp_path / "int8.onnx"
    found = modelopt_quantize.quantize(untrained, output, images(), QuantizeSettings("minmax", keep=(name,)))
    given = told()
    assert given["shape"] == [4, 6, MANIFEST.height, MANIFEST.width]
    assert (given["mode"], given["method"], given["rest"], given["dq_only"]) == ("int8", "max", "fp32", True)
    assert given["providers"] == ["cpu"]
    kept = {*quantize.always_kept(model), name}
    assert len(given["exclude"]) == len(kept)
    assert rounded(output) == set(onnx_graph.convolutions(model)) - kept
    assert found.training["quantisation"] == {
        "method": "minmax", "target": "tensorrt", "keep": [name], "quantizer": "modelopt",
    }  # fmt: skip
    loaded = onnxruntime_engine.load(output, threads=1)  # with the manifest that modelopt drops
    assert loaded.manifest == found
    assert loaded.infer({INPUT: together(3)})["boxes"].shape == (
        3,
        MANIFEST.top_k,
        4,
    )


def test_a_name_that_begins_another_keeps_itself_alone(untrained: Path, tmp_path: Path, told: Told) -> None:
    modelopt_quantize.quantize(untrained, tmp_path / "int8.onnx", images(1), QuantizeSettings("entropy"))
    given = told()
    assert given["method"] == "entropy"
    assert all(pattern.endswith("$") for pattern in given["exclude"])
    assert r"/detector/heatmap/heatmap\.3/Conv$" in given["exclude"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            "absent",
            r"^--quantizer modelopt: it is not installed whole \(No module named 'lief'\); pip install --no-deps",
        ),
        ("failing", r"modelopt does not quantise it \(RuntimeError: Execution provider is not supported\); use --q"),
        ("careless", r"modelopt quantised \S+Conv against --keep"),
    ],
)
def test_failures_are_reported(
    behaviour: str, message: str, untrained: Path, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fake_modelopt.BEHAVIOUR, behaviour)
    output = tmp_path / "int8.onnx"
    output.write_bytes(b"as before")
    with pytest.raises(QuantizeError, match=message):
        modelopt_quantize.quantize(untrained, output, images(1), QuantizeSettings("minmax"))
    assert output.read_bytes() == b"as before"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (QuantizeSettings("percentile"), "--method percentile: modelopt has entropy and minmax"),
        (QuantizeSettings("minmax", "cpu"), "--target cpu: modelopt quantises for TensorRT"),
        (QuantizeSettings("minmax", keep=("nothing",)), "--keep nothing: the model has no such node"),
    ],
)
def test_what_it_cannot_do_is_refused_before_the_work(
    settings: QuantizeSettings, message: str, untrained: Path, tmp_path: Path, told: Told
) -> None:
    with pytest.raises(QuantizeError, match=message):
        modelopt_quantize.quantize(untrained, tmp_path / "x.onnx", images(1), settings)
    assert not (tmp_path / "told.json").exists()


def test_where_it_is_not_installed_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "modelopt", raising=False)
    with pytest.raises(QuantizeError, match="it is not installed; pip install --no-deps nvidia-modelopt onnx-graph"):
        modelopt_quantize.check_settings(QuantizeSettings("minmax"))


@pytest.mark.parametrize(("quantizer", "by"), [("onnxruntime", None), ("modelopt", "modelopt")])
def test_the_command_line_uses_the_named_one(
    quantizer: str, by: str | None, untrained: Path, tmp_path: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "int8.onnx"
    given = ["quantize", untrained, "-o", output, "--quantizer", quantizer, "--method", "minmax", "--frames", 16]
    assert command_line.main([str(part) for part in [*given, "--calibrate", asset_path(CLIP)]]) == 0, (
        capsys.readouterr().err
    )
    noted = onnxruntime_engine.load(output, threads=1).manifest.training["quantisation"]
    assert noted.get("quantizer") == by
    assert (tmp_path / "told.json").exists() == (by is not None)


def test_the_command_line_refuses_before_it_reads_videos(
    untrained: Path, tmp_path: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["quantize", untrained, "-o", tmp_path / "x.onnx", "--quantizer", "modelopt", "--target", "cpu"]
    assert command_line.main([str(part) for part in [*given, "--calibrate", tmp_path / "nothing"]]) == 1
    assert "modelopt quantises for TensorRT" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_the_real_modelopt(method: quantize.Method, untrained: Path, tmp_path: Path) -> None:
    """Nearly the answers of FP32, a third of its size, zero points of zero, and a graph that NVIDIA's builder takes."""
    pytest.importorskip("modelopt", reason=f"nvidia-modelopt is not installed: {packages.MODELOPT}")
    output = tmp_path / "int8.onnx"
    modelopt_quantize.quantize(untrained, output, images(), QuantizeSettings(method))
    model = onnx.load(output)
    assert rounded(output) == set(onnx_graph.convolutions(onnx.load(untrained))) - quantize.always_kept(
        onnx.load(untrained)
    )
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    zeros = [stored[node.input[2]] for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert zeros
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    assert output.stat().st_size < 0.35 * untrained.stat().st_size
    exact, converted = (onnxruntime_engine.load(path, threads=1) for path in (untrained, output))
    batch = {INPUT: together(2)}
    gap = np.abs(exact.infer(batch)["scores"] - converted.infer(batch)["scores"])
    assert gap.mean() < 0.05
    assert build_for_real(output, tmp_path).precision == "int8"
