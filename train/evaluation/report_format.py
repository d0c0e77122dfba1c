"""Pure. A report as text and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from train.evaluation.error_analysis import CAUSES, ErrorShares
from train.evaluation.metrics import OperatingPoint
from train.evaluation.report import FRAME_THRESHOLD, RANGE, VIDEO_KEYS, ClassReport, Report

PUBLISHED_CLASSES = {"UCF101-24": 24, "J-HMDB-21": 21}  # data set: classes of published tables


def as_table(scores: Report) -> str:
    """The report as text, in percent, one line a class and the mean."""
    width = max(map(len, (*scores.labels, "mean")))
    where = "best F1" if scores.protocol.threshold is None else f"score >= {scores.protocol.threshold:g}"
    counts_zero = scores.protocol.in_frames.zero_without_truth or scores.protocol.in_videos.zero_without_truth
    fate = "counted as 0 where the protocol does so" if counts_zero else "not part of the mean"
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
    lines += [f"{label}: no ground truth here, {fate}" for label in scores.without_truth]
    return "\n".join(lines)


def as_error_table(scores: Report) -> str:
    """Where frame-AP is lost, in percent, one line a class and the mean: see `train.evaluation.error_analysis`."""
    width = max(map(len, (*scores.labels, "mean")))
    causes = (*CAUSES, "missed")
    lines = [f"{'class':{width}}" + "".join(f"{name:>16}" for name in causes)]
    rows = [(one.label, [getattr(one.errors, name) for name in causes]) for one in scores.classes]
    rows.append(("mean", list(scores.mean_errors.values())))
    return "\n".join(lines + [f"{name:{width}}" + "".join(_cell(share, 16) for share in row) for name, row in rows])


def as_json(scores: Report, circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """The report in percent, null where nothing can be said; `circumstances` join the protocol."""
    protocol = {
        **circumstances,
        "protocol": scores.protocol.name,
        "in_frames": asdict(scores.protocol.in_frames),
        "in_videos": asdict(scores.protocol.in_videos),
        "rule": scores.protocol.rule,
        "frames": scores.protocol.frames,
        "iou": FRAME_THRESHOLD,
        "classes": list(scores.labels),
        "classes_without_ground_truth": list(scores.without_truth),
        "note": comparison_note(len(scores.labels), str(circumstances.get("data", "UCF101-24"))),
    }
    return {
        "protocol": protocol,
        "frame_map": {"0.5": as_percent(scores.frame_map)},
        "linked_frame_map": {"0.5": as_percent(scores.linked_frame_map)},
        "video_map": {key: as_percent(value) for key, value in scores.video_map.items()},
        "mean": _point(scores.mean_point),
        "errors": {name: as_percent(share) for name, share in scores.mean_errors.items()},
        "per_class": {one.label: _class(one) for one in scores.classes},
        "confusion": {"score": _known(scores.confusion_score), "matrix": scores.confusion.tolist()},
    }


def comparison_note(classes: int, data: str = "UCF101-24") -> str:
    """What scores on this number of classes of a data set may be compared with."""
    known = next((name for name in PUBLISHED_CLASSES if data.startswith(name)), None)
    if known is None:
        return "Scores on other data than UCF101-24 and J-HMDB-21 are not comparable with published tables."
    published, split = PUBLISHED_CLASSES[known], data.rpartition(", ")[2]
    if split in ("train", "validation"):
        return f"Scores on the {split} videos are not comparable with published tables, which are of test lists."
    if classes == published:
        return f"All {published} classes of {known}; published tables differ in frames and rule, compare those first."
    return f"Scores on {classes} classes are not comparable with published tables, which have {published}."


def not_annotated_note(frames: int) -> str:
    """A note that this number of frames is not annotated."""
    return f"{frames} frames of these videos are not annotated: they are neither right nor wrong."


def _line(name: str, frame_aps: tuple[float, float], video_ap: Mapping[str, float], point: OperatingPoint) -> str:
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
        "frame_ap": {"0.5": as_percent(one.frame_ap)},
        "linked_frame_ap": {"0.5": as_percent(one.linked_frame_ap)},
        "video_ap": {key: as_percent(value) for key, value in one.video_ap.items()},
        **_point(one.point),
        "errors": _errors(one.errors),
        "boxes": one.boxes,
        "tubes": one.tubes,
    }


def _errors(errors: ErrorShares) -> dict[str, Any]:
    shares = {name: as_percent(getattr(errors, name)) for name in (*CAUSES, "missed")}
    return {**shares, "counts": dict(zip(CAUSES, errors.counts, strict=True))}


def _point(point: OperatingPoint) -> dict[str, float | None]:
    return {
        "precision": as_percent(point.precision),
        "recall": as_percent(point.recall),
        "f1": as_percent(point.f1),
        "threshold": _known(round(point.threshold, 4)),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def as_percent(value: float) -> float | None:
    """A share, 0..1, in percent as reports have it; None where it is not known."""
    return None if np.isnan(value) else round(100 * value, 2)
