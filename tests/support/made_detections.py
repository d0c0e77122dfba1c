"""Detections and annotations of one person, made up frame by frame."""

import numpy as np

from edge.event_settings import ActionSettings, EventSettings
from train.datasets.annotation_records import GroundTruthTube
from train.evaluation.detection_file import SavedDetections

RATE = 10.0
LABELS = ("Run", "Jump")
PERSON = (20.0, 30.0, 60.0, 110.0)
AWAY = (150.0, 30.0, 190.0, 110.0)
QUICK = EventSettings(ActionSettings(start_score=0.4, keep_score=0.2, min_duration=0.5, cooldown=0.5))


def seen(spans: list[tuple[int, int, tuple[float, ...], int, float]], frames: int = 100) -> SavedDetections:
    """One video "a"; each span holds first frame, end frame, box, label, score."""
    rows = [(frame, box, label, score) for first, end, box, label, score in spans for frame in range(first, end)]
    rows.sort(key=lambda row: row[0])
    scores = np.array([row[3] for row in rows], np.float32)
    labels = np.array([row[2] for row in rows], np.int64)
    dense = np.zeros((len(rows), len(LABELS)), np.float32)
    dense[np.arange(len(rows)), labels] = scores
    return SavedDetections(
        ("a",),
        LABELS,
        np.array([frames]),
        np.array([[320, 240]]),
        np.zeros(len(rows), np.int64),
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        scores,
        labels,
        dense,
        np.array([RATE]),
    )


def true(first: int, end: int, label: int = 0, box: tuple[float, ...] = PERSON) -> GroundTruthTube:
    return GroundTruthTube(label, first, np.tile(np.array(box, np.float32), (end - first, 1)))
