"""Settings of a training that takes a second, on the data set of `tiny_videos`."""

from pathlib import Path

from edge.motion_map import MotionSettings
from train.train_settings import TrainSettings


def tiny_settings(data: Path, steps: int, batch: int = 2) -> TrainSettings:
    """Of so many steps, the last of which validates, without a memory."""
    samples = steps * batch
    return TrainSettings(
        data=(str(data),),
        motion=MotionSettings("previous"),
        height=64,
        width=96,
        samples=samples,
        batch=batch,
        validate_every=samples,
        precision="float32",
    )
