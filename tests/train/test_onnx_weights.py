"""Weights read back out of an exported ONNX: they answer as the checkpoint did, and are ready to be trained on."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from convert import fp16, graft_file, onnx_file
from convert.export import export
from edge.engines import onnxruntime_engine
from edge.engines.memory_file import memory_path
from edge.manifest import input_shapes
from edge.motion_map import MotionSettings
from tests.support.paths import ROOT
from tests.support.tiny_model import write_tiny_model
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint
from train import checkpoint as checkpoints
from train import norm_statistics, onnx_weights, starting_weights
from train.checkpoint import CheckpointError

LOGARITHM, LAST_OF_LOOK = "/detector/classifier/Log", "/second_look/last/Conv"  # nodes of the shipped model
SHIPPED = ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def images(channels: int = 6) -> torch.Tensor:
    return torch.randn(2, channels, MANIFEST.height, MANIFEST.width, generator=torch.Generator().manual_seed(1))


def answers(network: torch.nn.Module, image: torch.Tensor) -> list[np.ndarray]:
    with torch.inference_mode():
        heads = network.eval()(image)
    return [value.numpy() for value in heads.answers]


def assert_alike(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"motion": MotionSettings("none")},
        {"architecture": "res_18"},
        pytest.param({"architecture": "resdcn_18"}, marks=pytest.mark.slow),
        pytest.param({"architecture": "dla_34_plain"}, marks=pytest.mark.slow),
    ],
    ids=lambda changes: str(changes.get("architecture", changes.get("motion", "lite"))),
)
def test_they_equal_the_checkpoint(changes: dict[str, object], tmp_path: Path) -> None:
    manifest = replace(MANIFEST, **changes)  # type: ignore[arg-type]
    checkpoint = checkpoints.load(write_untrained_checkpoint(tmp_path / "a.pt", manifest))
    export(checkpoint, tmp_path / "a.onnx")
    read = starting_weights.load(tmp_path / "a.onnx")
    assert (read.manifest.labels, read.manifest.motion) == (manifest.labels, manifest.motion)
    assert read.manifest.input_size == manifest.input_size
    image = images(manifest.channels)
    assert_alike(answers(checkpoints.detector(read), image), answers(checkpoints.detector(checkpoint), image))


def test_with_preprocessing_inside_they_are_the_same(untrained: Path, tmp_path: Path) -> None:
    grafted = tmp_path / "grafted.onnx"
    graft_file.graft_file(untrained, grafted)
    plain, inside = onnx_weights.load(untrained), onnx_weights.load(grafted)
    assert inside.manifest == plain.manifest
    assert inside.manifest.preprocessing == "outside"
    assert all(torch.equal(inside.weights[name], value) for name, value in plain.weights.items())


def as_training_begins(shipped: Path, folder: Path) -> Path:
    """The model with a gain of 0 for what its memory alone tells, and a second look that moves no box."""
    model, manifest = onnx_file.read(shipped)
    (logarithm,) = (node.output[0] for node in model.graph.node if node.name == LOGARITHM)
    (added,) = (node for node in model.graph.node if logarithm in node.input)
    (last,) = (node for node in model.graph.node if node.name == LAST_OF_LOOK)
    constants = [one for one in model.graph.initializer if one.name in (*added.input, *last.input[1:])]
    assert len(constants) == 3
    for one in constants:
        one.CopyFrom(onnx.numpy_helper.from_array(np.zeros(one.dims, np.float32), one.name))
    onnx_file.write(model, manifest, path := folder / shipped.name)
    assert manifest.memory is not None
    shutil.copy(memory_path(shipped, manifest.memory), folder)
    return path


def test_the_shipped_model_can_be_trained_on(tmp_path: Path) -> None:
    """Its weights answer in torch as its file does in ONNX Runtime, which decodes centres as it was made to."""
    engine, random = onnxruntime_engine.load(as_training_begins(SHIPPED, tmp_path), 1), np.random.default_rng(0)
    shapes = input_shapes(engine.manifest, 1, engine.manifest.input_size)
    noise = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    theirs, ours = engine.infer(noise), checkpoints.engine(starting_weights.load(SHIPPED)).infer(noise)
    for name in ("scores", "labels", "class_scores"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-3)
    sizes = [outputs["boxes"][..., 2:] - outputs["boxes"][..., :2] for outputs in (ours, theirs)]
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-3, atol=1e-2)


def test_estimated_statistics_leave_the_answers_and_fit_the_frames(untrained: Path) -> None:
    network = checkpoints.detector(onnx_weights.load(untrained))
    image = images()
    before = answers(network, image)
    norm_statistics.estimate(network, [(image[:1],), (image[1:],)])
    assert_alike(answers(network, image), before)
    network.train()
    with torch.no_grad():
        trained = [value.numpy() for value in network(image).answers]
    assert_alike(trained, before)  # by the statistics of these images too, which are those that were estimated


def test_norms_that_change_nothing_answer_otherwise_while_training(untrained: Path) -> None:
    """Why the statistics are estimated at all."""
    network = checkpoints.detector(onnx_weights.load(untrained))
    before = answers(network, images())[0]
    with torch.no_grad():
        heatmap = network.train()(images()).heatmap.numpy()
    assert np.abs(heatmap - before).max() > 0.1


def test_without_images_nothing_changes(untrained: Path) -> None:
    network = checkpoints.detector(onnx_weights.load(untrained))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    norm_statistics.estimate(network, [])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_other_precisions_are_refused_with_the_file_to_give() -> None:
    for ending, precision in (("int8", "INT8"), ("fp16", "FP16"), ("int8-cpu", "INT8")):
        with pytest.raises(CheckpointError) as caught:
            starting_weights.load(SHIPPED.with_stem(f"{SHIPPED.stem}-{ending}"))
        assert f"is {precision}, which cannot be trained on; give {SHIPPED}" in str(caught.value)


def test_without_the_fp32_file_beside_it_the_refusal_names_none(untrained: Path, tmp_path: Path) -> None:
    fp16.convert_file(untrained, tmp_path / "mine-fp16.onnx")
    with pytest.raises(CheckpointError, match="give the FP32 file that it was made from"):
        starting_weights.load(tmp_path / "mine-fp16.onnx")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    ("architecture", "sentence"),
    [
        ("yowo_lite", "weights of yowo_lite are read from its .pt alone; give that"),
        ("yowo_original_resnet18", "is of yowo_original, which is not trained here; give another --weights"),
    ],
)
def test_weights_of_networks_that_see_clips(
    architecture: str, sentence: str, precision: str, untrained: Path, tmp_path: Path
) -> None:
    model, manifest = onnx_file.read(untrained)
    onnx_file.write(model, replace(manifest, architecture=architecture, precision=precision), tmp_path / "clips.onnx")
    with pytest.raises(CheckpointError) as caught:
        starting_weights.load(tmp_path / "clips.onnx")
    assert str(caught.value) == f"{tmp_path / 'clips.onnx'}: {sentence}"


def test_what_is_no_network_of_ours_is_refused(tmp_path: Path, untrained: Path) -> None:
    tiny = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(CheckpointError, match=r"holds another network than its manifest says \(the weights of "):
        starting_weights.load(tiny)
    model, manifest = onnx_file.read(untrained)
    onnx_file.write(model, replace(manifest, architecture="new_net"), tmp_path / "new.onnx")
    with pytest.raises(CheckpointError, match="its network is new_net, and known are lite"):
        starting_weights.load(tmp_path / "new.onnx")
    onnx_file.write(model, replace(manifest, labels=("Run",)), tmp_path / "fewer.onnx")
    with pytest.raises(CheckpointError, match="another network than its manifest says"):
        checkpoints.detector(starting_weights.load(tmp_path / "fewer.onnx"))
    for name, content, message in (("none.onnx", None, "cannot be read"), ("cut.onnx", b"\x08", "not a complete")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            starting_weights.load(tmp_path / name)
