"""YOWO in small: what it answers, that a stream's map is the clip's, and that it exports with its decoding."""

import io
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from tests.support.counted import multiplications, parameters
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint
from train.networks.movinet import memory_network
from train.networks.yowo.decoder import PRIOR_PROBABILITY, PriorDecoder
from train.networks.yowo.fusion import Parts, transferred
from train.networks.yowo.lite import YowoLite

torch.set_num_threads(1)
OUTPUTS = ("boxes", "scores", "labels", "class_scores")


@pytest.fixture(scope="module")
def network() -> YowoLite:
    """With batch norms that have seen something, and scores that differ enough to have one order."""
    torch.manual_seed(0)
    made = YowoLite(3)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made.train()(torch.randn(4, 3, 64, 96), torch.randn(4, 3, 2, 64, 96))
        for head in made.fusion.heads:
            head.get_submodule("2").get_parameter("weight").mul_(4)
    return made.eval()


def test_it_is_small() -> None:
    """2.9 million parameters, 11.7 MB with both networks; multiplications a frame at 288 × 224."""
    with torch.device("meta"):
        network = YowoLite(26)
    assert parameters(network) * 4 < 11.8e6  # a file has names beside them
    counts = multiplications(network, (1, 3, 224, 288), (1, 3, 1, 224, 288))
    assert counts.total() < 0.75e9


def test_its_own_norms_soon_know_what_they_read() -> None:
    """After sixty steps without learning it answers on known maps as it does while training."""
    torch.manual_seed(0)
    fusion = YowoLite(3).fusion
    key = [torch.randn(8, channels, 2 * ratio, 3 * ratio) for channels, ratio in ((192, 1), (112, 2), (40, 4))]
    clip = transferred(torch.rand(8, 480, 2, 3))
    with torch.no_grad():
        for _ in range(60):
            expected = fusion(key, clip)
        found = fusion.eval()(key, clip)
    for one, other in zip(found, expected, strict=True):
        assert one[:, :4].std() > 0.5 * other[:, :4].std()  # DropBlock makes them a little wider while training


def test_before_training() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        maps = YowoLite(4).train()(torch.randn(2, 3, 64, 96), torch.randn(2, 3, 2, 64, 96)).maps
    assert [tuple(x.shape) for x in maps] == [(2, 3, 9, 2, 3), (2, 3, 9, 4, 6), (2, 3, 9, 8, 12)]
    assert maps[2][:, :, 4:].sigmoid().mean().item() == pytest.approx(PRIOR_PROBABILITY, rel=0.3)


def test_a_map_that_a_stream_carries_along_is_the_clips(network: YowoLite) -> None:
    image, clip = torch.randn(1, 3, 64, 96), torch.randn(1, 3, 3, 64, 96)
    branch = network.backbone_3d
    assert branch is not None
    memory = branch.memory(1, 64, 96)
    rgb = (clip.transpose(1, 2) * network.std + network.mean).flip(2)
    with torch.inference_mode():
        whole = network(image, clip)
        for i in range(3):
            seen, memory = branch(rgb[:, i : i + 1], memory)
        streamed = network.with_maps(image, transferred(seen[:, -1]))
    for one, other in zip(whole.maps, streamed.maps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_the_exported_graph_answers_as_torch(network: YowoLite) -> None:
    """At opset 17, of any batch; the K best pairs of box and action by falling score."""
    decoder = PriorDecoder(network, 20).eval()
    example = (torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 2, 64, 96))
    content = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            decoder,
            example,
            content,  # type: ignore[arg-type]
            input_names=["image", "clip"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in ("image", "clip", *OUTPUTS)},
            opset_version=17,
            dynamo=False,
        )
    session = onnxruntime.InferenceSession(content.getvalue(), providers=["CPUExecutionProvider"])
    image, clip = torch.randn(2, 3, 64, 96), torch.randn(2, 3, 2, 64, 96)
    with torch.inference_mode():
        expected = [one.numpy() for one in decoder(image, clip)]
    found = session.run(list(OUTPUTS), {"image": image.numpy(), "clip": clip.numpy()})
    assert [one.shape for one in found] == [(2, 20, 4), (2, 20), (2, 20), (2, 20, 3)]
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
    np.testing.assert_allclose(found[0], expected[0], atol=0.1)
    np.testing.assert_array_equal(found[2], expected[2])
    assert (np.diff(found[1], axis=1) <= 0).all()
    chosen = np.take_along_axis(found[3], found[2][:, :, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(chosen, found[1], atol=1e-6)  # a box's score is that of its action


@pytest.mark.parametrize("parts", [Parts(), Parts(scales=1, squeeze=False)])
def test_a_checkpoint_is_read_as_it_was_built(parts: Parts, tmp_path: Path) -> None:
    network = YowoLite(2, parts)
    network.get_buffer("priors").mul_(1.5)
    manifest = Manifest(
        "tiny", ("Run", "Jump"), 64, 64, MotionSettings("none"), architecture="yowo_lite", clip=ClipInput(2)
    )
    checkpoints.save(Checkpoint(manifest, network.state_dict(), {}), tmp_path / "a.pt")
    read = checkpoints.detector(checkpoints.load(tmp_path / "a.pt"))
    given = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 2, 64, 64)
    with torch.inference_mode():
        one, other = network.eval()(*given), read(*given)
    torch.testing.assert_close(one.maps, other.maps)
    torch.testing.assert_close(one.priors, other.priors)


def test_a_memorys_map_lies_at_the_same_place_at_every_scale() -> None:
    """A map that rises from left to right: its values at stride 16 and 8, averaged, are those at stride 32."""
    memory = memory_network("0" * 64, 4)
    network = YowoLite(2, memory=memory)
    columns = torch.arange(float(memory.features[2])).expand(1, *memory.features)
    tap = torch.zeros(1, *memory.tap)
    coarse, middle, fine = network._placed((160, 192), columns, tap, torch.tensor([[1.0, 0, 1, 0]]))
    assert [x.shape[1:] for x in (coarse, middle, fine)] == [(480, 5, 6), (120 + 56, 10, 12), (30, 20, 24)]
    assert (coarse[0, 0].diff(dim=1) > 0).all()
    for x, ratio in ((middle[:, :120], 2), (fine, 4)):
        averaged = torch.nn.functional.avg_pool2d(x, ratio)[0, 0]
        torch.testing.assert_close(averaged, coarse[0, 0], atol=0.3, rtol=0)  # of a cell
        torch.testing.assert_close(averaged.mean(), coarse[0, 0].mean(), atol=0.05, rtol=0)
