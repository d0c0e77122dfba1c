"""Pure. What was found in many videos beside what is true there → one report: scores, a table, JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from train.metrics import (
    AVERAGE_PRECISION,
    VIDEO_THRESHOLDS,
    Curve,
    FrameBoxes,
    Point,
    Tube,
    at_best_f1,
    at_threshold,
    confusion_matrix,
    frame_curves,
    in_annotated_frames,
    joined,
    mean_with_truth,
    pooled,
    tube_curves,
)

FRAME_THRESHOLD = 0.5
RANGE = "0.5:0.95"
VIDEO_KEYS = ("0.2", "0.5", "0.75", RANGE)
PUBLISHED_CLASSES = 24  # of UCF101-24

Rule = Literal["voc", "act"]
FrameSet = Literal["all", "annotated"]


@dataclass(frozen=True, eq=False)
class VideoResult:
    """Found and true boxes and tubes of one video; frames are counted from 0 within it, the tubes' video is ignored.

    `linked` is what the linker made of the detections `found`: every live tube in every frame, once for each class,
    with the class's score so far.
    """

    found: FrameBoxes
    linked: FrameBoxes
    truth: FrameBoxes
    tubes: tuple[Tube, ...]
    true_tubes: tuple[Tube, ...]


@dataclass(frozen=True)
class Protocol:
    """How to count: the AP rule, which frames, and the score for precision and recall (None: each class's best F1)."""

    rule: Rule = "voc"
    frames: FrameSet = "all"
    threshold: float | None = None


@dataclass(frozen=True)
class ClassReport:
    """One class: how much truth there is, APs 0..1 (nan without truth), precision and recall at one score.

    `frame_ap` is of the detections, `linked_frame_ap` of the same boxes after linking.
    """

    label: str
    boxes: int
    tubes: int
    frame_ap: float
    linked_frame_ap: float
    video_ap: Mapping[str, float]
    point: Point


@dataclass(frozen=True, eq=False)
class Report:
    """All classes, their curves, and the confusion matrix (classes + 1, classes + 1) at `confusion_score`."""

    protocol: Protocol
    classes: tuple[ClassReport, ...]
    curves: tuple[Curve, ...]
    confusion: NDArray[np.int64]
    confusion_score: float

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the classes."""
        return tuple(one.label for one in self.classes)

    @property
    def without_truth(self) -> tuple[str, ...]:
        """Classes of which nothing is annotated: they have no AP and are not part of any mean."""
        return tuple(one.label for one in self.classes if not one.boxes)

    @property
    def frame_map(self) -> float:
        """Mean over the classes with truth, 0..1."""
        return mean_with_truth([one.frame_ap for one in self.classes])

    @property
    def linked_frame_map(self) -> float:
        """The same of the boxes after linking."""
        return mean_with_truth([one.linked_frame_ap for one in self.classes])

    @property
    def video_map(self) -> dict[str, float]:
        """Mean over the classes with truth by overlap, 0..1."""
        return {key: mean_with_truth([one.video_ap[key] for one in self.classes]) for key in VIDEO_KEYS}

    @property
    def mean_point(self) -> Point:
        """Means of threshold, precision, recall and F1 over the classes with truth."""
        points = [one.point for one in self.classes if one.boxes]
        table = np.array([(p.threshold, p.precision, p.recall, p.f1) for p in points] or [(np.nan,) * 4])
        return Point(*(float(value) for value in table.mean(axis=0)))


def report(videos: Sequence[VideoResult], labels: Sequence[str], protocol: Protocol) -> Report:
    """Score what was found in all videos together."""
    truth = _numbered([video.truth for video in videos])
    found, linked = (
        in_annotated_frames(table, truth) if protocol.frames == "annotated" else table
        for table in (_numbered([video.found for video in videos]), _numbered([video.linked for video in videos]))
    )
    curves = frame_curves(found, truth, len(labels), FRAME_THRESHOLD)
    after_linking = frame_curves(linked, truth, len(labels), FRAME_THRESHOLD)
    classes = _classes(videos, labels, curves, after_linking, protocol)
    score = protocol.threshold
    if score is None:
        score = at_best_f1(pooled(found, truth, len(labels), FRAME_THRESHOLD)).threshold
    matrix = confusion_matrix(found, truth, len(labels), score, FRAME_THRESHOLD)
    return Report(protocol, classes, curves, matrix, score)


def as_table(scores: Report) -> str:
    """The report as text, in percent, one line a class and the mean."""
    width = max(map(len, (*scores.labels, "mean")))
    where = "best F1" if scores.protocol.threshold is None else f"score >= {scores.protocol.threshold:g}"
    lines = [
        f"{'':{width}}  {'frame-AP at 0.5':<16}  {'video-AP at':<31}  {where}",
        f"{'class':{width}}  {'detected':>8}{'linked':>8}  "
        + "".join(f"{key:>6}" for key in VIDEO_KEYS[:3])
        + f"{RANGE:>13}  precision  recall      F1   score   boxes  tubes",
    ]
    for one in scores.classes:
        counts = f"{one.boxes:8d}{one.tubes:7d}"
        frame_aps = (one.frame_ap, one.linked_frame_ap)
        lines.append(_line(f"{one.label:{width}}", frame_aps, one.video_ap, one.point) + counts)
    frame_maps = (scores.frame_map, scores.linked_frame_map)
    lines.append(_line(f"{'mean':{width}}", frame_maps, scores.video_map, scores.mean_point))
    lines += [f"{label}: no ground truth here, not part of the mean" for label in scores.without_truth]
    return "\n".join(lines)


def as_json(scores: Report, circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """The report in percent, null where there is no ground truth; `circumstances` join the protocol."""
    protocol = {
        **circumstances,
        "rule": scores.protocol.rule,
        "frames": scores.protocol.frames,
        "iou": FRAME_THRESHOLD,
        "classes": list(scores.labels),
        "classes_without_ground_truth": list(scores.without_truth),
        "note": comparison_note(len(scores.labels)),
    }
    return {
        "protocol": protocol,
        "frame_map": {"0.5": _percent(scores.frame_map)},
        "linked_frame_map": {"0.5": _percent(scores.linked_frame_map)},
        "video_map": {key: _percent(value) for key, value in scores.video_map.items()},
        "mean": _point(scores.mean_point),
        "per_class": {one.label: _class(one) for one in scores.classes},
        "confusion": {"score": scores.confusion_score, "matrix": scores.confusion.tolist()},
    }


def comparison_note(classes: int) -> str:
    """What these scores may be compared with."""
    if classes == PUBLISHED_CLASSES:
        return "All 24 classes of UCF101-24; published tables differ in frames and rule, compare those first."
    return f"Scores on {classes} classes are not comparable with published tables, which have {PUBLISHED_CLASSES}."


def _numbered(tables: Sequence[FrameBoxes]) -> FrameBoxes:
    """All videos in one table; video v's frame f becomes v * 2^32 + f."""
    numbered = [replace(table, frames=table.frames + (index << 32)) for index, table in enumerate(tables)]
    return joined(numbered)


def _classes(
    videos: Sequence[VideoResult],
    labels: Sequence[str],
    curves: Sequence[Curve],
    after_linking: Sequence[Curve],
    protocol: Protocol,
) -> tuple[ClassReport, ...]:
    found = [replace(tube, video=index) for index, video in enumerate(videos) for tube in video.tubes]
    true = [replace(tube, video=index) for index, video in enumerate(videos) for tube in video.true_tubes]
    average_precision = AVERAGE_PRECISION[protocol.rule]
    rows = []
    by_class = tube_curves(found, true, len(labels), (0.2, *VIDEO_THRESHOLDS))
    for label, frame_curve, linked_curve, tubes in zip(labels, curves, after_linking, by_class, strict=True):
        loosest, *range_ = (average_precision(points) for points in tubes)
        half, three_quarters = range_[0], range_[VIDEO_THRESHOLDS.index(0.75)]
        video_ap = dict(zip(VIDEO_KEYS, (loosest, half, three_quarters, float(np.mean(range_))), strict=True))
        point = _operating_point(frame_curve, protocol.threshold)
        frame_ap, linked_ap = average_precision(frame_curve), average_precision(linked_curve)
        rows.append(ClassReport(label, frame_curve.truths, tubes[0].truths, frame_ap, linked_ap, video_ap, point))
    return tuple(rows)


def _operating_point(points: Curve, threshold: float | None) -> Point:
    if not points.truths:
        return Point(*[float("nan")] * 4)
    return at_best_f1(points) if threshold is None else at_threshold(points, threshold)


def _line(name: str, frame_aps: tuple[float, float], video_ap: Mapping[str, float], point: Point) -> str:
    video = "".join(_cell(video_ap[key], 6) for key in VIDEO_KEYS[:3])
    return (
        f"{name}  {''.join(_cell(ap, 8) for ap in frame_aps)}  {video}{_cell(video_ap[RANGE], 13)}  "
        f"{_cell(point.precision, 9)}{_cell(point.recall, 8)}{_cell(point.f1, 8)}"
        f"{_cell(point.threshold, 8, 1, 2)}"
    )


def _cell(value: float, width: int, scale: float = 100, digits: int = 1) -> str:
    return f"{'-':>{width}}" if np.isnan(value) else f"{scale * value:{width}.{digits}f}"


def _class(one: ClassReport) -> dict[str, Any]:
    return {
        "frame_ap": {"0.5": _percent(one.frame_ap)},
        "linked_frame_ap": {"0.5": _percent(one.linked_frame_ap)},
        "video_ap": {key: _percent(value) for key, value in one.video_ap.items()},
        **_point(one.point),
        "boxes": one.boxes,
        "tubes": one.tubes,
    }


def _point(point: Point) -> dict[str, float | None]:
    return {
        "precision": _percent(point.precision),
        "recall": _percent(point.recall),
        "f1": _percent(point.f1),
        "threshold": None if np.isnan(point.threshold) else round(point.threshold, 4),
    }


def _percent(value: float) -> float | None:
    return None if np.isnan(value) else round(100 * value, 2)
