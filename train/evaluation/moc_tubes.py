"""Shell. Tubes in the format of ACT and MOC: `<video>_tubes.pkl`, label → [(array (n, 6), score)].

The array's columns are frame from 1, x1 y1 x2 y2, score; labels count from 0.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from edge.files import existing_path, write_atomically
from train.box_tables import LARGEST_COORDINATE, Tube
from train.evaluation.external_formats import ExternalFormatError, VideoIndex, require_inside
from train.evaluation.tube_file import SavedTube, SavedTubes
from train.safe_reading import array_pickle

ENDING = "_tubes.pkl"


def read_moc_tubes(folder: Path, index: VideoIndex) -> SavedTubes:
    """The tubes of all videos that have a file; nothing in one is executed. Raises ExternalFormatError."""
    there = [(video, existing_path(folder, f"{name}{ENDING}")) for video, name in enumerate(index.videos)]
    there = [(video, path) for video, path in there if path.exists()]
    if not there:
        raise ExternalFormatError(
            f"{folder}: holds no tubes of the {len(index.videos)} videos, like {index.videos[:1]}; give their folder, "
            "or an .npz file"
        )
    places = {video: place for place, (video, _) in enumerate(there)}
    tubes = [tube for video, path in there for tube in _read(path, places[video], len(index.labels))]
    return SavedTubes(tuple(index.videos[video] for video, _ in there), index.labels, tuple(tubes))


def write_moc_tubes(found: SavedTubes, folder: Path) -> None:
    """A file for each video, with or without tubes. Raises ExternalFormatError."""
    try:
        for video, name in enumerate(found.video_names):
            require_inside(folder, name)
            write_atomically(folder / f"{name}{ENDING}", pickle.dumps(_content(found, video), 4))
    except OSError as error:
        raise ExternalFormatError(f"{folder}: cannot be written ({error.strerror}); choose another path") from error


def _content(found: SavedTubes, video: int) -> dict[int, list[tuple[Any, float]]]:
    content: dict[int, list[tuple[Any, float]]] = {label: [] for label in range(len(found.label_names))}
    for one in found.tubes:
        if one.tube.video == video:
            frames = np.arange(one.tube.first_frame, one.tube.first_frame + len(one.tube.boxes)) + 1
            rows = np.column_stack([frames, one.tube.boxes, one.scores]).astype(np.float32)
            content[one.tube.label].append((rows, float(one.tube.score)))
    return content


def _read(path: Path, video: int, labels: int) -> list[SavedTube]:
    try:
        content = array_pickle.load(path)
        return [
            _tube(np.asarray(rows, dtype=np.float64), float(score), video, int(label), labels)
            for label, tubes in content.items()
            for rows, score in tubes
        ]
    except OSError as error:
        raise ExternalFormatError(f"{path}: cannot be read ({error.strerror})") from error
    except array_pickle.BROKEN as error:
        raise ExternalFormatError(f"{path}: not tubes of ACT or MOC for this data ({error}); write it again") from error


def _tube(rows: Any, score: float, video: int, label: int, labels: int) -> SavedTube:
    if rows.ndim != 2 or rows.shape[1] != 6 or not len(rows) or not np.isfinite([*rows.ravel(), score]).all():
        raise ValueError(f"a tube is of shape {rows.shape}, not (frames, 6)")
    frames, boxes = rows[:, 0], rows[:, 1:5]
    if (np.diff(frames) != 1).any() or not 1 <= frames[0] < 2**31 or frames[0] % 1 or not 0 <= label < labels:
        raise ValueError("a tube's frames do not follow each other from 1, or its class has no name")
    if (boxes[:, 2:] < boxes[:, :2]).any() or np.abs(boxes).max() > LARGEST_COORDINATE:
        raise ValueError("a box has x2 before x1, y2 before y1, or lies a million pixels away")
    tube = Tube(video, label, score, int(frames[0]) - 1, boxes.astype(np.float32))
    return SavedTube(tube, rows[:, 5].astype(np.float32))
