"""A detector with a second look at its boxes: exported, quantised, in FP16, and its weights read back."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from convert import export, fp16, onnx_graph, quantize
from convert.quantize import QuantizeSettings
from edge.engines import onnxruntime_engine
from edge.manifest import INPUT
from tests.support.real_builder import build_for_real
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint
from train import checkpoint as checkpoints
from train import starting_weights
from train.checkpoint import Checkpoint
from train.networks.lite import LiteDetector
from train.networks.second_look import SecondLook

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its second look moves boxes by some of their width."""
    folder = tmp_path_factory.mktemp("looking")
    saved = checkpoints.load(write_untrained_checkpoint(folder / "before.pt"))
    network = checkpoints.detector(saved)
    assert isinstance(network, LiteDetector)
    network.second_look = SecondLook(network.looked_at, len(MANIFEST.labels))
    torch.nn.init.normal_(network.second_look.last.weight, std=0.3)
    checkpoints.save(Checkpoint(MANIFEST, network.state_dict(), {}), folder / "looking.pt")
    for name in ("before", "looking"):
        export.export(checkpoints.load(folder / f"{name}.pt"), folder / f"{name}.onnx")
    return folder / "looking.onnx"


def answers(path: Path) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).normal(size=(2, 6, MANIFEST.height, MANIFEST.width)).astype(np.float32)
    return dict(onnxruntime_engine.load(path, threads=1).infer({INPUT: image}))


def test_only_the_boxes_are_others(looking: Path) -> None:
    """That they are torch's, the export itself has seen."""
    before, after = answers(looking.with_name("before.onnx")), answers(looking)
    for name in ("scores", "labels", "class_scores"):
        np.testing.assert_allclose(before[name], after[name], atol=1e-6)
    assert np.abs(before["boxes"] - after["boxes"]).max() > 1


def test_it_belongs_to_the_decoding_which_stays_in_fp32(looking: Path, tmp_path: Path) -> None:
    model = onnx.load(looking)
    looks = {name for name in onnx_graph.convolutions(model) if name.startswith("/second_look/")}
    assert len(looks) == 8
    assert looks <= quantize.always_kept(model)
    heads = {name for name in onnx_graph.last_convolutions(model) if name not in looks}
    assert heads == {"/detector/heatmap/heatmap.3/Conv", "/detector/box/box.3/Conv"}
    assert not onnx_graph.body(model) & looks
    fp16.convert_file(looking, tmp_path / "half.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "half.onnx"), full_check=True)
    half, exact = answers(tmp_path / "half.onnx"), answers(looking)
    np.testing.assert_allclose(half["scores"], exact["scores"], atol=0.02)


@pytest.mark.parametrize("target", ["tensorrt", "cpu"])
def test_it_is_not_quantised(target: quantize.QuantizeTarget, looking: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    images = [{INPUT: random.normal(size=(1, 6, MANIFEST.height, MANIFEST.width)).astype(np.float32)}] * 2
    quantize.quantize(looking, tmp_path / "int8.onnx", images, QuantizeSettings("minmax", target))
    model = onnx.load(tmp_path / "int8.onnx")
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    weights = {n.name: made.get(n.input[1], "") for n in model.graph.node if n.op_type == "Conv"}
    assert {kind for name, kind in weights.items() if name.startswith("/second_look/")} == {""}
    assert "DequantizeLinear" in weights.values()
    assert np.isfinite(answers(tmp_path / "int8.onnx")["boxes"]).all()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_nvidias_builder_takes_it(precision: str, looking: Path, tmp_path: Path) -> None:
    path = looking
    if precision == "fp16":
        path = tmp_path / "half.onnx"
        fp16.convert_file(looking, path)
    assert build_for_real(path, tmp_path).precision == precision


def test_training_can_begin_with_it_and_leaves_it_out(looking: Path) -> None:
    network, before = (
        checkpoints.detector(starting_weights.load(path)) for path in (looking, looking.with_name("before.onnx"))
    )
    assert isinstance(network, LiteDetector)
    assert network.second_look is None
    for name, value in before.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value)
