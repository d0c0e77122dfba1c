"""On which frames a run is validated."""

import pytest

from tests.support.annotated_player import MANIFEST
from train.datasets.annotation_records import VideoAnnotation
from train.memory_features import NO_MEMORY
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
