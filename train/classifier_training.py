"""Learns a memory's classifier from its examples: some seconds on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from train.classifier_examples import ClassifierExamples
from train.networks.memory_classifier import MemoryClassifier

BATCH, EPOCHS, RATE, DECAY = 256, 12, 1e-3, 1e-2
LEAST_SPREAD = 1e-3  # of a feature, by which it is divided
NEVER = -1e4  # the logit of an action that is not of the example's group


def learn(classifier: MemoryClassifier, examples: ClassifierExamples, seed: int) -> None:
    """Fill a classifier in place; its `gain` stays. AdamW, one cycle, both inputs scaled alike over the examples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _reset(classifier)
        inputs = [(values.mean(dim=0), values.std(dim=0) + LEAST_SPREAD) for values in (examples.whole, examples.near)]
        whole, near = (
            (values - mean) / spread
            for values, (mean, spread) in zip((examples.whole, examples.near), inputs, strict=True)
        )
        batch = min(BATCH, len(examples))
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=RATE, weight_decay=DECAY)
        steps = EPOCHS * (len(examples) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        classifier.train()
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(examples))[: len(examples) // batch * batch].split(batch):
                optimizer.zero_grad()
                answer = classifier.answer(whole[chosen][:, :, None, None], near[chosen][:, :, None, None])[:, :, 0, 0]
                _loss(answer, classifier.groups, examples.group[chosen], examples.goal[chosen]).backward()
                optimizer.step()
                schedule.step()
        _take_inputs_as_they_are(classifier, *inputs)
    classifier.eval()


def _reset(classifier: MemoryClassifier) -> None:
    for layer in (classifier.whole, classifier.near, classifier.last):
        layer.reset_parameters()


def _loss(answer: Tensor, groups: Tensor, group: Tensor, goal: Tensor) -> Tensor:
    """Cross-entropy within the group of each example; `answer` and `goal` are (B, outputs)."""
    owner = torch.repeat_interleave(torch.arange(len(groups)), groups)  # of each output
    within = answer.masked_fill(owner != group[:, None], NEVER)
    return F.cross_entropy(within, goal)


@torch.no_grad()
def _take_inputs_as_they_are(
    classifier: MemoryClassifier, of_whole: tuple[Tensor, Tensor], of_near: tuple[Tensor, Tensor]
) -> None:
    """Put the scaling of the inputs, mean and spread (C,) of each, into the first layers.

    FP16 then holds their weights exactly, so that an exported file needs half the room for them.
    """
    bias = classifier.whole.bias
    assert bias is not None
    for layer, (mean, spread) in ((classifier.whole, of_whole), (classifier.near, of_near)):
        layer.weight.copy_((layer.weight / spread[:, None, None]).half())
        bias -= layer.weight[:, :, 0, 0] @ mean
