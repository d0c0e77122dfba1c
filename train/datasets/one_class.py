"""All actions of a data set as one: somebody who does something, to learn to find people by. Arithmetic on records."""

from dataclasses import replace

import numpy as np

from train.datasets.annotated_frames import mask
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation


def merged(data: DataSet, name: str) -> DataSet:
    """With this one label. Frames without a box count as annotated in quiet videos alone.

    Elsewhere people who do none of the actions have no box, so that no box does not mean nobody.
    """
    train, test = (tuple(map(_merged, videos)) for videos in (data.train, data.test))
    return replace(data, labels=(name,) if data.labels else (), train=train, test=test)


def _merged(video: VideoAnnotation) -> VideoAnnotation:
    tubes = tuple(GroundTruthTube(0, tube.first_frame, tube.boxes, tube.origin) for tube in video.tubes)
    if video.quiet:
        return replace(video, tubes=tubes)
    end = max((tube.end_frame for tube in tubes), default=0)
    shown = np.zeros(end, np.bool_)
    for tube in tubes:
        shown[tube.first_frame : tube.end_frame] = True
    return replace(video, tubes=tubes, annotated_frames=np.flatnonzero(shown & mask(video.annotated_frames, end)))
