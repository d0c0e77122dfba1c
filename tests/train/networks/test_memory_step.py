"""One picture after the other through MoViNet with random weights, and what it averages and answers."""

import torch

from train.networks.memory_step import KEPT, MemoryStep, averages
from train.networks.movinet import CLASSES, Classifier, MoViNet

torch.set_num_threads(1)
SIDE, STREAMS, PICTURES = 40, 2, 4


def step() -> MemoryStep:
    torch.manual_seed(0)
    return MemoryStep(MoViNet(), Classifier()).eval()


@torch.inference_mode()
def test_the_newest_map_counts_most_and_what_is_answered_is_of_the_average() -> None:
    network = step()
    pictures = torch.rand(PICTURES, STREAMS, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    parts = [torch.zeros(shape) for shape in network.part_shapes(STREAMS, SIDE, SIDE)]
    seen = []
    for picture in pictures:
        features, _, average, answers, *parts = network(picture, *parts)
        seen.append(features)
        weights = torch.tensor([KEPT ** (len(seen) - 1 - i) for i in range(len(seen))])
        expected = (weights[:, None, None, None, None] * torch.stack(seen)).sum(dim=0) / weights.sum()
        torch.testing.assert_close(average, expected)
        assert answers.shape == (STREAMS, CLASSES)
        assert network.classifier is not None
        torch.testing.assert_close(answers, network.classifier(expected.mean(dim=(2, 3))))
    torch.testing.assert_close(averages(torch.stack(seen)[:, 1])[-1], average[1])


def test_without_its_classifier_it_has_the_parts_of_the_network_alone() -> None:
    plain = MemoryStep(step().network).eval()
    assert len(step().part_shapes(1, SIDE, SIDE)) == len(plain.part_shapes(1, SIDE, SIDE)) + 2
    with torch.inference_mode():
        outputs = plain(torch.rand(1, 3, SIDE, SIDE), *map(torch.zeros, plain.part_shapes(1, SIDE, SIDE)))
    assert len(outputs) == len(plain.names) + len(plain.part_shapes(1, SIDE, SIDE))
    assert plain.answers == 0
