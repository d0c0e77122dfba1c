"""Shell. The file of detections of many videos: `korsal-evaluate detect` writes it, `link` and `score` read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.motion_gap import REFERENCE_RATE
from edge.text import to_nfc
from train.box_tables import LARGEST_COORDINATE, FrameBoxes, in_video
from train.datasets.annotated_frames import AnnotatedFrames
from train.evaluation import columns
from train.evaluation.columns import ColumnError

CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = ("video", "frame", *CORNERS, "score", "label")
NAMES = ("video_names", "label_names")
RATES = "frame_rates"
LOWEST_FRAME_RATE, HIGHEST_FRAME_RATE = 0.001, 1000  # frames per second
TUBE = "tube"  # the column that files of tubes have, and no others


@dataclass(frozen=True, eq=False)
class SavedDetections:
    """What was found in videos, row by row.

    video (N,) int64, index into `video_names`; frames (N,) int64, from 0 within the video (the file counts from 1);
    boxes (N, 4) float32, x1 y1 x2 y2, pixels of the source frame, continuous; labels (N,) int64, index into
    `label_names`; class_scores (N, classes) float32, or None if missing or not loaded.
    frame_counts (V,) int64 and frame_sizes (V, 2) int64, width and height, of each video; 0 where unknown.
    frame_rates (V,) float64, frames per second of each video, 0 where unknown; None: all are.
    """

    video_names: tuple[str, ...]
    label_names: tuple[str, ...]
    frame_counts: NDArray[np.int64]
    frame_sizes: NDArray[np.int64]
    video: NDArray[np.int64]
    frames: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_scores: NDArray[np.float32] | None = None
    frame_rates: NDArray[np.float64] | None = None

    def rate(self, video: int) -> float:
        """Frames per second of a video; REFERENCE_RATE where unknown, at which older files were always linked."""
        known = 0.0 if self.frame_rates is None else float(self.frame_rates[video])
        return known or REFERENCE_RATE

    def at_rate(self, rate: float | None) -> "SavedDetections":
        """All videos at so many frames per second; None: as they are."""
        return self if rate is None else replace(self, frame_rates=np.full(len(self.video_names), rate))

    def table(self, videos: Mapping[str, int], labels: Sequence[str]) -> FrameBoxes:
        """The boxes of `labels` in `videos`, each up to its number of frames; both are renumbered as given."""
        video = indices_in(self.video_names, tuple(videos))[self.video]
        label = indices_in(self.label_names, labels)[self.labels]
        lengths = np.array([*videos.values(), 0], dtype=np.int64)
        kept = (video >= 0) & (label >= 0) & (self.frames < lengths[video])
        frames = in_video(video[kept], self.frames[kept])
        return FrameBoxes(frames, label[kept], self.boxes[kept], self.scores[kept])

    def numbered_as(self, videos: Sequence[str], labels: Sequence[str]) -> "SavedDetections":
        """What was found of `labels` in `videos`, both numbered as given, without `class_scores`."""
        video = indices_in(self.video_names, videos)[self.video]
        label = indices_in(self.label_names, labels)[self.labels]
        kept = (video >= 0) & (label >= 0)
        here = indices_in(videos, self.video_names)  # -1, the zeros appended here, where the file has none
        counts, sizes = np.append(self.frame_counts, 0)[here], np.append(self.frame_sizes, [[0, 0]], axis=0)[here]
        rates = None if self.frame_rates is None else np.append(self.frame_rates, 0)[here]
        rows = {name: getattr(self, name)[kept] for name in ("frames", "boxes", "scores")}
        given = SavedDetections(tuple(videos), tuple(labels), counts, sizes, video[kept], labels=label[kept], **rows)
        return replace(given, frame_rates=rates)

    def in_annotated_frames(self, annotated: Sequence[AnnotatedFrames]) -> "SavedDetections":
        """Without the rows in frames that are not annotated; `annotated` for each video, or empty: all was."""
        kept = np.ones(len(self.scores), dtype=np.bool_)
        for video, frames in enumerate(annotated):
            if frames is not None:
                kept &= (self.video != video) | np.isin(self.frames, frames)
        rows = {name: getattr(self, name)[kept] for name in ("video", "frames", "boxes", "scores", "labels")}
        dense = None if self.class_scores is None else self.class_scores[kept]
        return replace(self, class_scores=dense, **rows)


def indices_in(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.int64]:
    """For each name its index in `wanted`, -1 if it is not there: (len(names),) int64."""
    known = {name: index for index, name in enumerate(wanted)}
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def save(found: SavedDetections, path: Path) -> None:
    """Write the file. Raises ColumnError."""
    dense = {} if found.class_scores is None else {"class_scores": found.class_scores.astype(np.float32)}
    corners = dict(zip(CORNERS, found.boxes.astype(np.float32).T, strict=True))
    columns.write(
        path,
        {
            "video_names": np.array(found.video_names, dtype=np.str_),
            "label_names": np.array(found.label_names, dtype=np.str_),
            "frame_counts": found.frame_counts.astype(np.int64),
            "frame_sizes": found.frame_sizes.astype(np.int64),
            "video": found.video.astype(np.int32),
            "frame": (found.frames + 1).astype(np.int32),
            **corners,
            "score": found.scores.astype(np.float32),
            "label": found.labels.astype(np.int16 if len(found.label_names) < 2**15 else np.int64),
            **dense,
            **({} if found.frame_rates is None else {RATES: found.frame_rates.astype(np.float64)}),
        },
    )


def load(path: Path, dense: bool = False) -> SavedDetections:
    """Read the file, `class_scores` only where `dense`. Raises ColumnError for an invalid file."""
    optional = ("frame_counts", "frame_sizes", RATES, TUBE, *(("class_scores",) if dense else ()))
    read = columns.read(path, (*COLUMNS, *NAMES), optional)
    if TUBE in read:
        raise ColumnError(
            f"{path}: holds tubes; give it to --tubes, and here the detections that they were linked from"
        )
    found = columns.faults(read, ("video", "frame", "label"), (*CORNERS, "score"), "video")
    found += _other_faults(read) if not found else []
    if found:
        raise ColumnError(f"{path}: {'; '.join(found)}; see docs/evaluation.md for its format")
    videos = len(read["video_names"])
    return SavedDetections(
        names(read["video_names"]),
        names(read["label_names"]),
        read.get("frame_counts", np.zeros(videos)).astype(np.int64),
        read.get("frame_sizes", np.zeros((videos, 2))).astype(np.int64),
        read["video"].astype(np.int64),
        read["frame"].astype(np.int64) - 1,
        np.stack([read[name].astype(np.float32) for name in CORNERS], axis=1),
        read["score"].astype(np.float32),
        read["label"].astype(np.int64),
        read["class_scores"].astype(np.float32) if "class_scores" in read else None,
        read[RATES].astype(np.float64) if RATES in read else None,
    )


def names(values: NDArray[Any]) -> tuple[str, ...]:
    """The names in a column of text."""
    return tuple(to_nfc(str(value)) for value in values.tolist())


def shared_faults(read: columns.Columns) -> list[str]:
    """What is wrong with names, numbers of videos, labels and frames, and corners, in detections and tubes alike."""
    found = []
    for name, index in (("video_names", "video"), ("label_names", "label")):
        texts = read[name]
        if texts.ndim != 1 or texts.dtype.kind != "U" or len(set(names(texts))) != len(texts):
            found.append(f"{name} is not a list of different names")
        elif len(read[index]) and not 0 <= read[index].min() <= read[index].max() < len(texts):
            found.append(f"column {index} goes beyond the {len(texts)} {name}")
    if read["frame"].min(initial=1) < 1 or read["frame"].max(initial=1) >= 2**31:
        found.append("column frame does not count from 1")
    if (read["x2"] < read["x1"]).any() or (read["y2"] < read["y1"]).any():
        found.append("a box has x2 before x1 or y2 before y1")
    if max(float(np.abs(read[name]).max(initial=0)) for name in CORNERS) > LARGEST_COORDINATE:
        found.append("a corner lies beyond a million pixels")
    return found


def _other_faults(read: columns.Columns) -> list[str]:
    found = shared_faults(read)
    videos = len(read["video_names"]) if read["video_names"].ndim else 0
    for name, shape in (("frame_counts", (videos,)), ("frame_sizes", (videos, 2))):
        if name in read and (read[name].shape != shape or read[name].dtype.kind not in "iu"):
            found.append(f"{name} is of shape {read[name].shape}, not {shape} whole numbers")
    rates = read.get(RATES)
    if rates is not None:
        number = rates.dtype.kind in "iuf" and rates.shape == (videos,)
        if not number or not ((rates == 0) | ((rates >= LOWEST_FRAME_RATE) & (rates <= HIGHEST_FRAME_RATE))).all():
            found.append(
                f"{RATES} is of shape {rates.shape}, not ({videos},) numbers, each 0 or from {LOWEST_FRAME_RATE} to "
                f"{HIGHEST_FRAME_RATE}"
            )
    dense = read.get("class_scores")
    if dense is not None:
        shape = (len(read["video"]), len(read["label_names"]))
        if dense.shape != shape or dense.dtype.kind != "f" or not np.isfinite(dense).all():
            found.append(f"class_scores is of shape {dense.shape}, not {shape} finite numbers")
    return found
