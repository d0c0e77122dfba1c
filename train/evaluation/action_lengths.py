"""Typical lengths of actions, learnt from annotated tubes; action tubes are cut by them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np

from edge.cameras.video_file import CaptureError
from edge.motion_gap import REFERENCE_RATE
from edge.text import to_nfc
from train.datasets.annotated_frames import AnnotatedFrames, begin_is_known, end_is_known
from train.datasets.annotation_records import DataSet, GroundTruthTube
from train.datasets.frame_rate import frame_rate
from train.datasets.split_lists import held_out
from train.evaluation.action_tubes import Segmentation, TypicalLength
from train.evaluation.linking import LinkingMethod

MIN_TUBES = 5  # of an action; with fewer its typical length is unknown
MIN_SPREAD = 0.15  # of the logarithm; a few tubes may be alike by chance

ActionLengths = Mapping[str, TypicalLength]


def typical_lengths(data: DataSet) -> ActionLengths:
    """The typical length of each action, by name, in the training videos that are not held out.

    Actions with few tubes are left out. So are tubes that continue in frames that are not annotated: the length of
    their action is unknown.
    """
    frames: defaultdict[str, list[int]] = defaultdict(list)
    training, _ = held_out(data.train)
    rate = _rate(data) if training else REFERENCE_RATE
    for video in training:
        for tube in filter(partial(_is_whole, video.annotated_frames), video.tubes):
            frames[data.labels[tube.label]].append(len(tube.boxes))
    return {name: _typical(counts, rate) for name, counts in frames.items() if len(counts) >= MIN_TUBES}


def _rate(data: DataSet) -> float:
    """Frames per second of the annotations; REFERENCE_RATE where neither they nor any file tells."""
    with suppress(CaptureError):
        return frame_rate(data)
    return REFERENCE_RATE


def _is_whole(annotated: AnnotatedFrames, tube: GroundTruthTube) -> bool:
    """True if a tube begins and ends because its action does."""
    return bool(
        len(tube.boxes) and begin_is_known(annotated, tube.first_frame) and end_is_known(annotated, tube.end_frame)
    )


def _typical(counts: Sequence[int], rate: float) -> TypicalLength:
    logarithms = np.log(counts)
    return TypicalLength(float(np.exp(np.median(logarithms))) / rate, max(float(logarithms.std()), MIN_SPREAD))


def with_lengths(method: LinkingMethod, lengths: ActionLengths, labels: Sequence[str]) -> LinkingMethod:
    """The method for detections that number their actions as `labels`; KORSAL's rule has no use for lengths."""
    if not isinstance(method.action_tubes, Segmentation):
        return method
    known = tuple(map(lengths.get, map(to_nfc, labels)))
    return replace(method, action_tubes=replace(method.action_tubes, lengths=known))
