"""The frame rate of a data set's training videos. Shell: opens them."""

from statistics import median_low

from edge.cameras.video_file import probe
from train.datasets.annotation_records import DataSet


def frame_rate(data: DataSet) -> float:
    """Frames per second: the data set's own rate, or that of its training file in the middle, of two the lower.

    Raises CaptureError.
    """
    if data.rate is not None:
        return data.rate
    return round(median_low(probe(data.video(one.name)).fps for one in data.train), 3)
