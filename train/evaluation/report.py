"""Pure. Predictions and ground truth of many videos → one report: scores by class, means, errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube, joined, numbered
from train.evaluation.error_analysis import CAUSES, ErrorShares, error_shares
from train.evaluation.metrics import (
    VIDEO_THRESHOLDS,
    Curve,
    OperatingPoint,
    at_best_f1,
    at_threshold,
    average_precision,
    confusion_matrix,
    curve_of,
    in_frames_with_truth,
    matched_frames,
    mean_with_truth,
    pooled,
    tube_curves,
)
from train.evaluation.protocols import Protocol

FRAME_THRESHOLD = 0.5
RANGE = "0.5:0.95"
VIDEO_KEYS = ("0.2", "0.5", "0.75", RANGE)
NAN = float("nan")
NO_POINT = OperatingPoint(NAN, NAN, NAN, NAN)
NO_ERRORS = ErrorShares(NAN, NAN, NAN, NAN, NAN, (0, 0, 0, 0))


@dataclass(frozen=True, eq=False)
class VideoResult:
    """Predicted and true boxes and tubes of one video; frames count from 0 within it, the tubes' video is ignored.

    `found` are the detections, `linked` the boxes that the linker made of them: every live tube in every frame, once
    for each class, with its smoothed score. `invalid`: how many outputs of the network were invalid, and left out.
    """

    found: FrameBoxes
    linked: FrameBoxes
    truth: FrameBoxes
    tubes: tuple[Tube, ...]
    true_tubes: tuple[Tube, ...]
    invalid: int = 0


@dataclass(frozen=True, eq=False)
class SplitResult:
    """The results of all videos of a split; frames are numbered by `box_tables.in_video`. None: not predicted."""

    found: FrameBoxes | None
    linked: FrameBoxes | None
    truth: FrameBoxes
    tubes: tuple[Tube, ...] | None
    true_tubes: tuple[Tube, ...]


@dataclass(frozen=True)
class ClassReport:
    """One class: how much truth there is, APs 0..1 (nan: unknown), precision and recall at one score, errors.

    `frame_ap` is of the detections, `linked_frame_ap` of the same boxes after linking.
    """

    label: str
    boxes: int
    tubes: int
    frame_ap: float
    linked_frame_ap: float
    video_ap: Mapping[str, float]
    point: OperatingPoint
    errors: ErrorShares


@dataclass(frozen=True, eq=False)
class Report:
    """All classes, their curves, and the confusion matrix (classes + 1, classes + 1) at `confusion_score`.

    Where boxes in frames were not predicted there are no curves, the matrix is (0, 0), and its score nan.
    """

    protocol: Protocol
    classes: tuple[ClassReport, ...]
    curves: tuple[Curve, ...]
    confusion: NDArray[np.int64]
    confusion_score: float

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the classes."""
        return tuple(one.label for one in self.classes)

    @property
    def without_truth(self) -> tuple[str, ...]:
        """Classes without ground truth; the protocol decides how they count."""
        return tuple(one.label for one in self.classes if not one.boxes)

    @property
    def mean_errors(self) -> dict[str, float]:
        """Mean shares over the classes with truth, 0..1, by cause."""
        causes = (*CAUSES, "missed")
        return {name: mean_with_truth([getattr(one.errors, name) for one in self.classes]) for name in causes}

    @property
    def frame_map(self) -> float:
        """Mean over the classes that have an AP, 0..1."""
        return mean_with_truth([one.frame_ap for one in self.classes])

    @property
    def linked_frame_map(self) -> float:
        """Likewise for the boxes after linking."""
        return mean_with_truth([one.linked_frame_ap for one in self.classes])

    @property
    def video_map(self) -> dict[str, float]:
        """Mean over the classes that have an AP, by overlap, 0..1."""
        return {key: mean_with_truth([one.video_ap[key] for one in self.classes]) for key in VIDEO_KEYS}

    @property
    def mean_point(self) -> OperatingPoint:
        """Means of threshold, precision, recall and F1 over the classes with truth."""
        points = [one.point for one in self.classes if one.boxes]
        table = np.array([(p.threshold, p.precision, p.recall, p.f1) for p in points] or [(np.nan,) * 4])
        return OperatingPoint(*(float(value) for value in table.mean(axis=0)))


def score_videos(videos: Sequence[VideoResult], labels: Sequence[str], protocol: Protocol) -> Report:
    """Score the predictions of all videos together."""
    return score_split(combined(videos), labels, protocol)


def combined(videos: Sequence[VideoResult]) -> SplitResult:
    """The results of all videos in one, numbered in their order."""
    return SplitResult(
        numbered([video.found for video in videos]),
        numbered([video.linked for video in videos]),
        numbered([video.truth for video in videos]),
        tuple(replace(tube, video=index) for index, video in enumerate(videos) for tube in video.tubes),
        tuple(replace(tube, video=index) for index, video in enumerate(videos) for tube in video.true_tubes),
    )


def score_split(whole: SplitResult, labels: Sequence[str], protocol: Protocol) -> Report:
    """Score the results of a split by a protocol."""
    found, linked = (
        in_frames_with_truth(table, whole.truth) if table is not None and protocol.frames == "annotated" else table
        for table in (whole.found, whole.linked)
    )
    boxes = joined([]) if found is None else found
    rules, classes = protocol.in_frames, len(labels)
    matched = matched_frames(boxes, whole.truth, classes, FRAME_THRESHOLD, rules)
    errors = error_shares(matched, whole.truth, FRAME_THRESHOLD, rules)
    curves = tuple(map(curve_of, matched))
    frame_aps, linked_aps = _averages(curves, protocol), [NAN] * classes
    points = [_operating_point(one, protocol.threshold) for one in curves]
    if found is None:
        frame_aps, points, errors = linked_aps, [NO_POINT] * classes, (NO_ERRORS,) * classes
    if linked is not None:
        after_linking = matched_frames(linked, whole.truth, classes, FRAME_THRESHOLD, rules)
        linked_aps = _averages([curve_of(one) for one in after_linking], protocol)
    tube_counts = [sum(tube.label == label for tube in whole.true_tubes) for label in range(classes)]
    counts, videos = [one.truths for one in curves], _video_aps(whole, classes, protocol)
    parts = zip(labels, counts, tube_counts, frame_aps, linked_aps, videos, points, errors, strict=True)
    rows = tuple(ClassReport(*one) for one in parts)
    if found is None:
        return Report(protocol, rows, (), np.zeros((0, 0), np.int64), NAN)
    score = at_best_f1(pooled(curves)).threshold if protocol.threshold is None else protocol.threshold
    matrix = confusion_matrix(boxes, whole.truth, classes, score, FRAME_THRESHOLD)
    return Report(protocol, rows, curves, matrix, score)


def _averages(curves: Sequence[Curve], protocol: Protocol) -> list[float]:
    return [average_precision(points, protocol.rule, protocol.in_frames) for points in curves]


def _video_aps(whole: SplitResult, classes: int, protocol: Protocol) -> list[dict[str, float]]:
    """For each class its video-AP by overlap threshold."""
    if whole.tubes is None:
        return [dict.fromkeys(VIDEO_KEYS, NAN)] * classes
    rows = []
    thresholds = (0.2, *VIDEO_THRESHOLDS)
    for tubes in tube_curves(whole.tubes, whole.true_tubes, classes, thresholds, protocol.in_videos):
        loosest, *range_ = (average_precision(points, protocol.rule, protocol.in_videos) for points in tubes)
        half, three_quarters = range_[0], range_[VIDEO_THRESHOLDS.index(0.75)]
        rows.append(dict(zip(VIDEO_KEYS, (loosest, half, three_quarters, float(np.mean(range_))), strict=True)))
    return rows


def _operating_point(points: Curve, threshold: float | None) -> OperatingPoint:
    if not points.truths:
        return NO_POINT
    return at_best_f1(points) if threshold is None else at_threshold(points, threshold)
