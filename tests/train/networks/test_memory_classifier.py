"""A memory's classifier by itself and in a detector."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from train.networks.lite import LiteDetector
from train.networks.memory_classifier import LEAST, PREFIX, MemoryClassifier, of_weights
from train.networks.movinet import CLASSES, memory_network

torch.set_num_threads(1)
MEMORY = replace(memory_network("0" * 64, interval=4), answers=CLASSES)
PLACES, GROUPS = (0, 3, 1, 4), (3, 2)  # two actions and none; two actions
HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 4, WIDTH // 4)
EVERYWHERE = torch.tensor([[1.0, 0, 1, 0]])


def classifier(gain: float = 1.0) -> MemoryClassifier:
    torch.manual_seed(0)
    made = MemoryClassifier(MEMORY, PLACES, GROUPS).eval()
    made.gain.fill_(gain)
    return made


def seen() -> tuple[Tensor, Tensor, Tensor]:
    """A newest map, an average and answers."""
    generator = torch.Generator().manual_seed(1)
    newest, average = 6 * torch.rand(2, 1, *MEMORY.features, generator=generator)
    return newest, average, torch.randn(1, CLASSES, generator=generator)


def probabilities(added: Tensor) -> Tensor:
    return added.exp() - LEAST


@torch.inference_mode()
def test_actions_of_a_group_share_what_is_certain() -> None:
    found = probabilities(classifier()(*seen(), EVERYWHERE, CELLS))
    assert found.shape == (1, len(PLACES), *CELLS)
    assert (found > 0).all()
    torch.testing.assert_close(found[:, 1] + found[:, 3], torch.ones(1, *CELLS))  # nothing else than these
    assert (found[:, 0] + found[:, 2] < 1).all()  # the rest is none of them


@torch.inference_mode()
def test_it_lowers_scores_by_its_gain() -> None:
    whole = classifier()(*seen(), EVERYWHERE, CELLS)
    assert (whole <= torch.log(torch.tensor(1 + LEAST))).all()
    torch.testing.assert_close(classifier(0.25)(*seen(), EVERYWHERE, CELLS), 0.25 * whole)


@torch.inference_mode()
def test_it_follows_the_frame_and_ends_with_it() -> None:
    whole = classifier()(*seen(), EVERYWHERE, CELLS)
    mirrored = classifier()(*seen(), torch.tensor([[-1.0, 1, 1, 0]]), CELLS)
    torch.testing.assert_close(mirrored, whole.flip(3))
    bars = classifier()(*seen(), torch.tensor([[1.0, 0, 2, -0.5]]), CELLS)  # the frame in the middle rows
    outside = torch.cat([bars[:, :, : CELLS[0] // 4], bars[:, :, -CELLS[0] // 4 :]], dim=2)
    torch.testing.assert_close(outside, torch.full_like(outside, LEAST).log())


@torch.inference_mode()
def test_a_detector_adds_it_to_its_logits() -> None:
    torch.manual_seed(0)
    detector = LiteDetector(len(PLACES), 3, memory=MEMORY).eval()
    image = torch.randn(1, 3, HEIGHT, WIDTH)
    newest, average, answers = seen()
    maps = newest, torch.randn(1, *MEMORY.tap), EVERYWHERE, average, answers
    before = detector(image, *maps)
    detector.classifier = classifier(0.5)
    after = detector(image, *maps)
    torch.testing.assert_close(after.heatmap, before.heatmap + classifier(0.5)(*seen(), EVERYWHERE, CELLS))
    assert torch.equal(after.size, before.size)
    alone = detector(image).heatmap
    detector.classifier = None
    assert torch.equal(alone, detector(image).heatmap)  # where nothing is remembered


def weights(**changes: Any) -> Mapping[str, Any]:
    held = {f"{PREFIX}{name}": value for name, value in classifier().state_dict().items()}
    return {**held, **{f"{PREFIX}{name}": value for name, value in changes.items()}}


def test_weights_tell_what_it_is() -> None:
    made = of_weights(weights(), MEMORY, len(PLACES))
    assert made is not None
    made.load_state_dict(classifier().state_dict())
    assert of_weights({"heatmap.0.weight": torch.zeros(1)}, MEMORY, 4) is None


def test_a_memory_without_answers_has_none() -> None:
    with pytest.raises(ValueError, match="an earlier version, which read less; learn it again"):
        of_weights(weights(), replace(MEMORY, answers=0), len(PLACES))


def test_one_that_read_the_average_alone_is_refused() -> None:
    near = classifier().near.weight[:, : MEMORY.features[0]]
    with pytest.raises(ValueError, match="an earlier version, which read less; learn it again"):
        of_weights(weights(**{"near.weight": near}), MEMORY, len(PLACES))


@pytest.mark.parametrize(
    "changes",
    [
        {"places": torch.tensor([0, 1, 2])},
        {"places": torch.tensor([0, 1, 2, 5])},
        {"places": torch.tensor([0, 1, 2, -1])},
        {"places": torch.tensor([0.0, 1, 2, 3])},
        {"places": None},
        {"places": torch.tensor(3)},
        {"groups": torch.tensor([5, 0])},
        {"groups": torch.tensor([-1, 6])},
        {"groups": torch.tensor([1 << 40])},
        {"groups": torch.tensor([[3, 2]])},
        {"groups": "3, 2"},
    ],
)
def test_weights_that_describe_none_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="classifier"):
        of_weights(weights(**changes), MEMORY, len(PLACES))
