"""Each network that korsal-train knows, from a checkpoint to INT8: exported, halved, quantised, built."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from convert import export, fp16, onnx_graph, quantize, torch_export
from convert.calibration import Input
from convert.quantize import QuantizeSettings
from edge.engines import onnxruntime_engine
from edge.engines.tensorrt_builder import EngineBuildError
from edge.manifest import INPUT, OUTPUTS
from tests.support.paths import ROOT
from tests.support.real_builder import build_for_real, real_builder
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint
from train import checkpoint as checkpoints
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation.video_evaluation import evaluate_video
from train.networks.architectures import ARCHITECTURES
from train.networks.deformable import OPSET
from train.open_model import open_model

torch.set_num_threads(1)
pytestmark = pytest.mark.slow
NAMES = [name for name in ARCHITECTURES if name != MANIFEST.architecture]  # that one has tests of its own
PLAIN = ("res_18", "dla_34_plain")
CLIP = ROOT / "demo" / "basketball.mp4"


@dataclass(frozen=True)
class Exported:
    """One network as files."""

    checkpoint: Path
    fp32: Path
    fp16: Path
    int8: Path


def images(count: int) -> list[Input]:
    random = np.random.default_rng(0)
    size = 1, 6, MANIFEST.height, MANIFEST.width
    return [{INPUT: random.normal(size=size).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module", params=NAMES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """`export` itself compares with torch, on noise."""
    folder = tmp_path_factory.mktemp(request.param)
    files = [folder / f"{request.param}{end}" for end in (".pt", ".onnx", "-fp16.onnx", "-int8.onnx")]
    made = Exported(*files)
    write_untrained_checkpoint(made.checkpoint, replace(MANIFEST, architecture=request.param))
    export.export(checkpoints.load(made.checkpoint), made.fp32)
    fp16.convert_file(made.fp32, made.fp16)
    quantize.quantize(made.fp32, made.int8, images(4), QuantizeSettings("minmax"))
    return made


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def is_plain(exported: Exported) -> bool:
    return exported.fp32.stem in PLAIN


def test_the_onnx_names_its_network(exported: Exported) -> None:
    loaded = onnxruntime_engine.load(exported.fp32, threads=1)
    assert loaded.manifest.architecture == exported.fp32.stem
    assert ("DeformConv" in operators(exported.fp32)) == (not is_plain(exported))
    version = onnx.load(exported.fp32).opset_import[0].version
    assert version == (torch_export.OPSET if is_plain(exported) else OPSET)


def test_no_batch_norm_is_left(exported: Exported) -> None:
    assert "BatchNormalization" not in operators(exported.fp32)


def test_fp16_and_int8_answer_nearly_as_fp32(exported: Exported) -> None:
    """Of untrained networks on noise: that scores are of the same kind; how much is lost needs trained weights."""
    image = images(1)[0]
    exact = onnxruntime_engine.load(exported.fp32, threads=1).infer(image)
    for path, tolerance in ((exported.fp16, 0.05), (exported.int8, 0.35)):
        got = onnxruntime_engine.load(path, threads=1).infer(image)
        assert all(got[name].shape == exact[name].shape for name in OUTPUTS)
        np.testing.assert_allclose(got["scores"], exact["scores"], atol=tolerance)


def test_deformable_convolutions_and_their_offsets_stay_out_of_int8(exported: Exported) -> None:
    before, after = onnx.load(exported.fp32), onnx.load(exported.int8)
    kept = onnx_graph.deformable_convolutions(before)
    deformable = operators(exported.fp32).count("DeformConv")
    assert len(kept) == 2 * deformable  # each with the convolution that says where it looks
    rounded = {name for node in after.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    assert not [node.name for node in after.graph.node if node.name in kept and rounded & set(node.input)]
    assert operators(exported.int8).count("QuantizeLinear") > 10


def test_plain_networks_are_int8_nearly_whole(exported: Exported) -> None:
    """Transposed convolutions too; those with a filter per channel, of dla_34, are not worth it."""
    if is_plain(exported):
        assert exported.int8.stat().st_size < 0.27 * exported.fp32.stat().st_size
    known = {name: node for node in onnx.load(exported.int8).graph.node for name in node.output}
    for node in onnx.load(exported.int8).graph.node:
        if node.op_type == "ConvTranspose":
            kinds = {known[name].op_type for name in node.input[:2] if name in known}
            assert ("DequantizeLinear" in kinds) == (exported.fp32.stem != "dla_34")


def test_torch_and_onnx_runtime_agree_on_a_video(exported: Exported) -> None:
    """As korsal-evaluate looks: through the daemon's own pipeline."""
    video = VideoAnnotation("demo", 4, ())
    found = []
    for path in (exported.checkpoint, exported.fp32):
        with open_model(path, 1) as model:
            found.append(evaluate_video(video, CLIP, model, MANIFEST.labels, "default").found)
    expected, got = found
    assert len(expected.scores) > 0
    np.testing.assert_array_equal(got.frames, expected.frames)
    np.testing.assert_allclose(got.scores, expected.scores, atol=1e-3)


def test_nvidias_builder_takes_the_plain_ones(exported: Exported, tmp_path: Path) -> None:
    """It has no plugins, so that nothing is proved of deformable convolutions but how their refusal reads."""
    real_builder()
    if is_plain(exported):
        for path, precision in ((exported.fp32, "fp32"), (exported.fp16, "fp16"), (exported.int8, "int8")):
            assert build_for_real(path, tmp_path).precision == precision
    else:
        with pytest.raises(EngineBuildError, match=r"operator DeformConv of layer \S+: .*; deformable convolutions ne"):
            build_for_real(exported.fp32, tmp_path)
