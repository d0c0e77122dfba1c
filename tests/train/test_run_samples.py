"""On which frames a run is validated."""

from collections import Counter
from dataclasses import replace

import pytest

from edge.clip import ClipInput
from edge.manifest import Manifest
from tests.support.annotated_player import MANIFEST
from train.datasets.annotation_records import VideoAnnotation
from train.memory_features import NO_MEMORY
from train.networks import movinet
from train.run_samples import LEAST_VALIDATED, validated
from train.training_data import TrainingData, TrainingPart


@pytest.mark.parametrize(
    ("videos", "step"),
    [
        ((10_000, 5_000), 16),
        ((16 * LEAST_VALIDATED,), 16),
        ((LEAST_VALIDATED, LEAST_VALIDATED), 2),
        ((2 * LEAST_VALIDATED - 1,), 1),
        ((30, 1), 1),
    ],
)
def test_few_held_out_frames_are_looked_at_more_closely(videos: tuple[int, ...], step: int) -> None:
    held_out = tuple(VideoAnnotation(f"video {frames}", frames, ()) for frames in videos)
    part = TrainingPart("ours", (0,), (), held_out)
    data = TrainingData("ours", ("wave",), (part, TrainingPart("nobody's", (), (), held_out)), {}, 25.0, ())
    (only,) = validated(data, 16, {}, MANIFEST, NO_MEMORY)
    found = [(choice.video.name, choice.frame) for choice in only.frames.choices]
    assert found == [(video.name, frame) for video in held_out for frame in range(0, video.frames, step)]


@pytest.mark.parametrize(
    ("manifest", "served"),
    [
        (replace(MANIFEST, clip=ClipInput(8, every=8)), 8),
        (replace(MANIFEST, clip=ClipInput(8, every=6)), 6),
        (replace(MANIFEST, memory=movinet.memory_network("weights", 4)), 4),
    ],
)
@pytest.mark.parametrize("lengths", [(7_000,), (160,) * 72, (38,) * 400, (200, 180), (5,) * 60])
def test_maps_of_any_age_are_validated(manifest: Manifest, served: int, lengths: tuple[int, ...]) -> None:
    """Of 72 videos of UCF101-24 every 16th frame was one for which the clip had just been looked at."""
    held_out = tuple(VideoAnnotation(f"video {number}", frames, ()) for number, frames in enumerate(lengths))
    data = TrainingData("ours", ("wave",), (TrainingPart("ours", (0,), (), held_out),), {}, 25.0, ())
    (only,) = validated(data, 16, {}, manifest, NO_MEMORY)
    choices = only.frames.choices
    ages = Counter(choice.frame % served for choice in choices)
    possible = range(min(served, *lengths))
    assert min(ages[age] for age in possible) >= 0.7 * len(choices) / served
    assert len(choices) >= min(0.8 * sum(lengths) / 16, LEAST_VALIDATED)
    assert {choice.video.name for choice in choices} == {video.name for video in held_out}
