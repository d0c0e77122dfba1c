"""Saved tubes of two videos."""

from dataclasses import replace

import numpy as np

from train.box_tables import Tube
from train.evaluation.tube_file import SavedTube, SavedTubes

VIDEOS, LABELS = ("Surfing/v_a", "Skiing/v_b"), ("Skiing", "Surfing")


def tubes() -> SavedTubes:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], np.float32)
    one = SavedTube(Tube(1, 0, 0.75, 3, boxes), np.array([0.5, 1], np.float32))
    return SavedTubes(VIDEOS, LABELS, (one, replace(one, tube=Tube(0, 1, 0.5, 0, boxes[:1]), scores=one.scores[:1])))
