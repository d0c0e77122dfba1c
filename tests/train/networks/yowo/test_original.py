"""The published YOWO: held to numbers of its own code, on parameters that any machine draws again."""

import importlib.util
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge import boxes as box_ops
from train.networks.yowo import original
from train.networks.yowo.original import BACKBONES, STRIDE, OriginalDecoder, OriginalYowo

torch.set_num_threads(1)
CLASSES = 24
WEAK = 0.005  # of the golden boxes


@pytest.fixture(scope="module")
def goldens(shared: Path) -> Path:
    folder = shared.parent / "goldens" / "yowo"
    if not folder.is_dir():
        pytest.skip(f"outputs of the published code are not in {folder}")
    return folder


@pytest.fixture(scope="module")
def seeded(goldens: Path) -> Any:
    spec = importlib.util.spec_from_file_location("seeded", goldens / "seeded.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.values = lru_cache(maxsize=None)(module.values)  # most are the same for all four
    return module


def filled(goldens: Path, seeded: Any, backbone: str) -> OriginalYowo:
    """With the numbers that are drawn for the published names."""
    keys: Mapping[str, list[int]] = json.loads((goldens / f"darknet19-{backbone}" / "keys.json").read_text())
    weights = {name: torch.as_tensor(np.asarray(seeded.values(name, tuple(shape)))) for name, shape in keys.items()}
    with torch.device("meta"):
        network = OriginalYowo(CLASSES, backbone)
    own = {name: tuple(value.shape) for name, value in network.state_dict().items() if name != "priors"}
    assert own == {name: tuple(shape) for name, shape in keys.items()}
    priors = original.priors_for(CLASSES)
    network.load_state_dict({**weights, "priors": priors}, assign=True)
    return network.eval()


def noted(goldens: Path, backbone: str, frames: int) -> Mapping[str, NDArray[np.float64]]:
    content: Mapping[str, NDArray[np.float64]] = np.load(goldens / f"darknet19-{backbone}" / f"{frames}.npz")
    return content


def answer(network: OriginalYowo, clip: NDArray[np.float32], dtype: torch.dtype = torch.float32) -> Tensor:
    frames = torch.from_numpy(clip).to(dtype)
    with torch.inference_mode():
        found: Tensor = network.to(dtype)(frames[:, :, -1], frames)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_answers_as_the_published_code(backbone: str, goldens: Path, seeded: Any) -> None:
    network = filled(goldens, seeded, backbone)
    for frames in (8, 16):
        found, expected = answer(network, seeded.clip(frames)).numpy(), noted(goldens, backbone, frames)
        for name in ("output", "output64"):
            np.testing.assert_allclose(found, expected[name], atol=2e-4, rtol=1e-4)


def test_in_float64_to_nine_places(goldens: Path, seeded: Any) -> None:
    found = answer(filled(goldens, seeded, "shufflenetv2_2x"), seeded.clip(8), torch.float64)
    np.testing.assert_allclose(found.numpy(), noted(goldens, "shufflenetv2_2x", 8)["output64"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_decoding(backbone: str, goldens: Path) -> None:
    """Of the noted output: boxes, objectness and classes, which pass, in which order, and which NMS keeps."""
    expected = noted(goldens, backbone, 16)
    boxes, confidence, classes = (
        one[0].numpy()
        for one in original.decoded(torch.from_numpy(expected["output"]).float(), original.priors_for(CLASSES))
    )
    places = np.arange(len(confidence))
    cells = places % 49 * original.PRIORS + places // 49  # ours count priors first, theirs cells
    order = np.argsort(cells)
    passing = order[(confidence * classes.max(axis=1))[order] > WEAK]
    np.testing.assert_array_equal(cells[passing], expected["cells"])
    middle, half = expected["boxes"][:, :2], expected["boxes"][:, 2:4] / 2  # of the image; some are 80 times as wide
    corners = np.concatenate([middle - half, middle + half], axis=1)
    np.testing.assert_allclose(boxes[passing] / (7 * STRIDE), corners, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(confidence[passing], expected["boxes"][:, 4], atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(classes[passing], expected["class_scores"], atol=1e-6, rtol=1e-5)
    np.testing.assert_array_equal(box_ops.nms(boxes[passing], confidence[passing], 0.4), expected["kept"])


def test_what_the_decoder_gives() -> None:
    """One box that is sure to be of class 1, its confidence in all scores."""
    network = OriginalYowo(3, "shufflenetv2_2x").eval()
    raw = torch.full((1, original.PRIORS * 8, 2, 3), -8.0)
    raw[0, 8 * 2 + 4, 1, 2] = 0.0  # the third prior, in the last cell, by half
    raw[0, 8 * 2 : 8 * 2 + 4, 1, 2] = 0.0
    raw[0, 8 * 2 + 6, 1, 2] = 8.0
    network.forward = lambda image, clip: raw  # type: ignore[method-assign]
    boxes, scores, labels, class_scores = OriginalDecoder(network, network.get_buffer("priors"), 4)(raw, raw)
    width, height = original.UCF24_PRIORS[2]
    expected = STRIDE * torch.tensor([2.5 - width / 2, 1.5 - height / 2, 2.5 + width / 2, 1.5 + height / 2])
    torch.testing.assert_close(boxes[0, 0], expected)
    assert scores[0, 0].item() == pytest.approx(0.5, abs=1e-3)
    assert labels.tolist()[0][0] == 1
    assert class_scores[0, 0].tolist() == pytest.approx([0, 0.5, 0], abs=1e-3)
    assert (scores[0, :-1] >= scores[0, 1:]).all()


def test_backbones_are_known_by_their_names_and_widths() -> None:
    for name, (_, channels) in BACKBONES.items():
        with torch.device("meta"):
            names = OriginalYowo(CLASSES, name).state_dict().keys()
        assert original.recognised(names, channels + 425) == name
        assert original.recognised(names, channels + 424) is None
    assert original.recognised([], 0) is None
