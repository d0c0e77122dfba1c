"""Which losses a network learns by."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from edge.manifest import LITE
from train import clip_training, log
from train.losses import centernet_losses, losses
from train.train_settings import TrainSettings


def terms(settings: TrainSettings) -> tuple[str, ...]:
    """The names of the loss terms."""
    return clip_training.TERMS if clip_training.sees_clips(settings) else log.TERMS


def losses_of(answer: Any, batch: Mapping[str, Tensor], settings: TrainSettings) -> dict[str, Tensor]:
    """Weighted terms by name, of what the network answers."""
    if clip_training.sees_clips(settings):
        return clip_training.losses(answer, batch, settings)
    return (losses if settings.architecture == LITE else centernet_losses)(answer, batch, settings.losses)
