"""How long actions last as a rule, learnt from annotated tubes: what tubes are cut by (`edge.tubes`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edge.linker import LinkerSettings
from edge.tubes import UsualLength
from train.annotations import DataSet, held_out

LEAST_TUBES = 5  # of an action, below which nothing is said of its length
LEAST_SPREAD = 0.15  # of the logarithm; a few tubes may be alike by chance

Lengths = Mapping[str, UsualLength]


def usual_lengths(data: DataSet) -> Lengths:
    """By the name of the action, of the training part without what is held out. Actions of few tubes are left out."""
    frames: defaultdict[str, list[int]] = defaultdict(list)
    training, _ = held_out(data.train)
    for tube in (tube for video in training for tube in video.tubes if len(tube.boxes)):
        frames[data.labels[tube.label]].append(len(tube.boxes))
    return {name: _usual(counts) for name, counts in frames.items() if len(counts) >= LEAST_TUBES}


def _usual(counts: Sequence[int]) -> UsualLength:
    logarithms = np.log(counts)
    return UsualLength(float(np.exp(np.median(logarithms))), max(float(logarithms.std()), LEAST_SPREAD))


def knowing(settings: LinkerSettings, lengths: Lengths, labels: Sequence[str]) -> LinkerSettings:
    """The settings for detections that number their actions as `labels`; the rule `korsal` does not ask for lengths."""
    return replace(settings, cut=replace(settings.cut, lengths=tuple(map(lengths.get, labels))))
