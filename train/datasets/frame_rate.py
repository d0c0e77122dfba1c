"""The frame rate of a data set's training videos. Shell: opens them."""

from statistics import median

from edge.cameras.video_file import probe
from train.datasets.annotation_records import DataSet


def frame_rate(data: DataSet) -> float:
    """Frames per second: the data set's own rate, or the median of its training files. Raises CaptureError."""
    if data.rate is not None:
        return data.rate
    return round(median(probe(data.video(one.name)).fps for one in data.train), 3)
