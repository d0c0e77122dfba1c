"""What decides how a network for clips is trained, beside what decides every run. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge.clip import ClipInput

LossKind = Literal["focal", "cross_entropy"]
MatchingRule = Literal["yowo", "yolov3"]
Optimizer = Literal["sgd", "adamw"]
SMALLEST_SHARE, LARGEST_SHARE = 0.0, 1.0
MOST_FRAMES, MOST_STEPS = 64, 100  # as manifests allow
LEARNING_RATE = 1e-4  # Zhuo et al. 2024, with SGD
WEIGHT_DECAY = 5e-4
NMS_IOU = 0.4


@dataclass(frozen=True)
class ClipTraining:
    """Which clips are seen, what the network has, which rules it learns by, and when its branches begin to learn.

    `release_3d`, `release_2d`: the share of the run during which that branch stays as it was pretrained; one that was
    not learns from the beginning.
    """

    frames: int = 8
    step: int = 1  # frames of the video from one to the next of the clip
    every: int = 1  # key frames that one clip serves: so far past its end they lie at most
    anywhere: bool = True  # the key frame is any of its clip, not the last alone
    scales: int = 3  # maps that are predicted on: 3, or 1
    drop_block: float = 0.1  # share of the cells
    squeeze: bool = True  # squeeze-and-excitation
    loss: LossKind = "focal"
    matching: MatchingRule = "yowo"
    optimizer: Optimizer = "sgd"
    momentum: float = 0.937  # of SGD
    release_3d: float = 1 / 3
    release_2d: float = 2 / 3
    weights: str = ""  # MoViNet's, with which the 3-D branch of `yowo_lite` begins; "": with nothing

    @property
    def clip(self) -> ClipInput:
        """As the manifest has it."""
        return ClipInput(self.frames, self.step, self.every)


USUAL = ClipTraining()


def faults(training: ClipTraining) -> Iterator[str]:
    """What is wrong with it, each with its remedy."""
    for option, value, most in (
        ("--frames", training.frames, MOST_FRAMES),
        ("--frame-step", training.step, MOST_STEPS),
        ("--clip-every", training.every, MOST_STEPS),
    ):
        if not 1 <= value <= most:
            yield f"{option} {value}: give 1 to {most}"
    if training.scales not in (1, 3):
        yield f"--scales {training.scales}: give 3, or 1 for the coarsest map alone"
    for option, share in (
        ("--drop-block", training.drop_block),
        ("--momentum", training.momentum),
        ("--release-3d", training.release_3d),
        ("--release-2d", training.release_2d),
    ):
        if not SMALLEST_SHARE <= share <= LARGEST_SHARE:
            yield f"{option} {share:g}: give {SMALLEST_SHARE:g} to {LARGEST_SHARE:g}"
