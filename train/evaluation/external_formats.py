"""Shell. Detections in the formats of other projects, read and written.

road  a folder `<video>/<frame, five digits from 1>.mat` of `loc` (n, 4), x1 y1 x2 y2 as shares of the frame, and
      `scores` (n, 1 + classes), background first: KORSAL's and ROAD's
moc   `frame_detections.pkl`, an array (N, 8) of video, frame from 1, label, score, x1 y1 x2 y2, where videos are
      counted as in the list of test videos: ACT's and MOC's
yowo  a folder of text files `<video with _ for />_<frame, five digits from 1>.txt` of lines
      `class from 1, score, x1, y1, x2, y2`, pixels: YOWO's
"""

import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge import packages
from edge.files import existing_path, write_atomically
from edge.korsal_linker import MIN_SCORE
from edge.text import decode_utf8, sanitized, shortened, to_nfc
from train.box_tables import LARGEST_COORDINATE
from train.datasets.annotated_frames import AnnotatedFrames, within
from train.datasets.video_names import stays_inside
from train.evaluation.detection_file import SavedDetections
from train.safe_reading import array_pickle, mat_files

Format = Literal["road", "moc", "yowo"]

Part = tuple[int, int, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]  # video, frame, rows, class scores
Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]  # boxes (n, 4), scores (n,), labels (n,)


class ExternalFormatError(Exception):
    """A file of another project that cannot be read or written; the message names the file and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(sanitized(message)))


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """What such files lack: the videos in order, their frame counts (V,) and sizes (V, 2), and the classes."""

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    frame_counts: NDArray[np.int64]
    frame_sizes: NDArray[np.int64]


def load(path: Path, index: VideoIndex) -> SavedDetections:
    """Read detections in whichever of the formats is found at `path`. Raises ExternalFormatError."""
    if path.suffix == ".pkl":
        return read_moc(path, index)
    if not path.is_dir():
        raise ExternalFormatError(
            f"{path}: neither .npz nor .pkl nor a folder of .mat or .txt files; give one of those"
        )
    texts = any(name.endswith(".txt") for name in os.listdir(path))
    return read_yowo(path, index) if texts else read_road(path, index)


def save(found: SavedDetections, path: Path, kind: Format, annotated: Sequence[AnnotatedFrames] = ()) -> None:
    """Write detections in a format. Raises ExternalFormatError.

    `annotated`: for each video its annotated frames. Detections in others are not written, as the programs that read
    them would count them as false alarms: none of the formats can mark such frames.
    """
    writers: Mapping[str, Callable[[SavedDetections, Path, Sequence[AnnotatedFrames]], None]] = {
        "road": write_road,
        "moc": write_moc,
        "yowo": write_yowo,
    }
    try:
        writers[kind](found.in_annotated_frames(annotated), path, annotated)
    except OSError as error:
        raise ExternalFormatError(f"{path}: cannot be written ({error.strerror}); choose another path") from error


def require_inside(folder: Path, name: str) -> None:
    """Raise ExternalFormatError where the file of a video of this name would lie outside `folder`."""
    if not stays_inside(name):
        raise ExternalFormatError(f"{folder}: the video name {name} leads outside it; rename that video")


def read_road(folder: Path, index: VideoIndex) -> SavedDetections:
    """Read a folder of MATLAB files: a row for each class of a box that scores more than MIN_SCORE. Needs scipy."""
    parts: list[Part] = []
    with mat_files.reader() as read:
        for video, name in enumerate(index.videos):
            size = _size(index, video)
            for path in sorted(existing_path(folder, name).glob("*.mat")):
                boxes, scores, labels, dense = _road_rows(read, path, size, len(index.labels))
                parts.append((video, _frame_number(path, path.stem), boxes, scores, labels, dense))
    return _gathered(folder, index, parts)


def _road_rows(
    read: mat_files.Read, path: Path, size: NDArray[np.float64], classes: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    try:
        content = read(path, ("loc", "scores"))
        boxes, scores = (np.asarray(content[name], dtype=np.float64) for name in ("loc", "scores"))
    except OSError as error:
        raise ExternalFormatError(f"{path}: cannot be read ({error.strerror}); see whose it is with ls -l") from error
    except (mat_files.MatError, TypeError, ValueError) as error:
        raise ExternalFormatError(f"{path}: not a file of loc and scores ({error}); copy it again") from error
    if not scores.size and not boxes.size:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros((0, classes))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != (len(boxes), classes + 1):
        raise ExternalFormatError(
            f"{path}: loc is {boxes.shape} and scores {scores.shape}, not (n, 4) and (n, {classes + 1}); "
            "take detections of this data set's classes"
        )
    row, label = np.nonzero(scores[:, 1:] > MIN_SCORE)
    return boxes[row] * np.tile(size, 2), scores[row, label + 1], label, scores[row, 1:]


def write_road(found: SavedDetections, folder: Path, annotated: Sequence[AnnotatedFrames] = ()) -> None:
    """Write a MATLAB file for each annotated frame; scores are one-hot, as KORSAL's. Needs scipy.

    Of a video whose frame count is unknown, for each frame with boxes.
    """
    packages.require("scipy")
    from scipy.io import savemat

    for video, frame, chosen in _by_frame(found, annotated):
        scores = np.zeros((len(chosen), 1 + len(found.label_names)))
        scores[np.arange(len(chosen)), 1 + found.labels[chosen]] = found.scores[chosen]
        size = np.tile(_size(_video_index(found), video), 2)
        name = found.video_names[video]
        require_inside(folder, name)
        path = folder / name / f"{frame + 1:05d}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"scores": scores, "loc": found.boxes[chosen].astype(np.float64).reshape(-1, 4) / size})


def read_moc(path: Path, index: VideoIndex) -> SavedDetections:
    """Read an array of ACT or MOC; nothing in the pickle is executed."""
    try:
        table = np.asarray(array_pickle.load(path), dtype=np.float64)
    except OSError as error:
        raise ExternalFormatError(f"{path}: cannot be read ({error.strerror}); give frame_detections.pkl") from error
    except array_pickle.BROKEN as error:
        raise ExternalFormatError(
            f"{path}: not frame_detections.pkl of ACT or MOC ({error}); write it again"
        ) from error
    if table.ndim != 2 or table.shape[1] != 8:
        raise ExternalFormatError(
            f"{path}: holds an array of shape {table.shape}, not (N, 8); give frame_detections.pkl"
        )
    numbers = table[:, :3]
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any() or (np.abs(numbers) > 2**31).any():
        raise ExternalFormatError(f"{path}: video, frame or label is not a whole number; give frame_detections.pkl")
    video, frame, label = numbers.astype(np.int64).T
    return _checked(path, index, video, frame - 1, (table[:, 4:], table[:, 3], label))


def write_moc(found: SavedDetections, path: Path, _: Sequence[AnnotatedFrames] = ()) -> None:
    """Write an array as ACT and MOC do; videos are numbered as in `video_names`."""
    columns = (found.video, found.frames + 1, found.labels, found.scores, *found.boxes.T)
    table = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    write_atomically(path, pickle.dumps(table, 4))


def read_yowo(folder: Path, index: VideoIndex) -> SavedDetections:
    """Read a folder of YOWO's text files; those of other videos are ignored."""
    videos = {name.replace("/", "_"): video for video, name in enumerate(index.videos)}
    parts: list[Part] = []
    for path in sorted(folder.glob("*.txt")):
        name, _, number = path.stem.rpartition("_")
        if (name := to_nfc(name)) in videos:
            boxes, scores, labels = _yowo_rows(path)
            parts.append((videos[name], _frame_number(path, number), boxes, scores, labels, np.zeros((0, 0))))
    return _gathered(folder, index, parts)


def _yowo_rows(path: Path) -> Rows:
    try:
        lines = [line.split() for line in decode_utf8(path.read_bytes()).splitlines() if line.strip()]
        table = np.array([[float(word) for word in line] for line in lines], dtype=np.float64).reshape(-1, 6)
        whole = np.isfinite(table[:, 0]) & (table[:, 0] == np.floor(table[:, 0])) & (np.abs(table[:, 0]) < 2**31)
        if any(len(line) != 6 for line in lines) or not whole.all():
            raise ValueError("a line is not `class score x1 y1 x2 y2`")
        labels = table[:, 0].astype(np.int64) - 1
    except OSError as error:
        raise ExternalFormatError(f"{path}: cannot be read ({error.strerror}); see whose it is with ls -l") from error
    except ValueError as error:
        raise ExternalFormatError(f"{path}: not detections of YOWO ({error}); write it again") from error
    return table[:, 2:], table[:, 1], labels


def write_yowo(found: SavedDetections, folder: Path, annotated: Sequence[AnnotatedFrames] = ()) -> None:
    """Write a text file for each frame; corners are rounded to whole pixels, as YOWO does."""
    folder.mkdir(parents=True, exist_ok=True)
    for video, frame, chosen in _by_frame(found, annotated):
        name = f"{found.video_names[video].replace('/', '_')}_{frame + 1:05d}.txt"
        rows = zip(
            found.labels[chosen] + 1, found.scores[chosen], np.rint(found.boxes[chosen]).astype(int), strict=True
        )
        lines = [f"{label} {float(score)} {' '.join(map(str, box.tolist()))}\n" for label, score, box in rows]
        (folder / name).write_text("".join(lines), encoding="ascii")


def _gathered(source: Path, index: VideoIndex, parts: Sequence[Part]) -> SavedDetections:
    """Of the videos that have a file; the others were not looked at."""
    if not parts:
        raise ExternalFormatError(
            f"{source}: holds no detections of the {len(index.videos)} videos, like {index.videos[:1]}; "
            "give their folder"
        )
    there = sorted({part[0] for part in parts})
    places = {video: place for place, video in enumerate(there)}
    index = VideoIndex(
        tuple(index.videos[video] for video in there), index.labels, index.frame_counts[there], index.frame_sizes[there]
    )
    parts = [(places[part[0]], *part[1:]) for part in parts]
    counts = [len(part[3]) for part in parts]
    boxes, scores, labels = (np.concatenate([part[place] for part in parts]) for place in (2, 3, 4))
    video, frames = (np.repeat(np.array([part[place] for part in parts], np.int64), counts) for place in (0, 1))
    found = _checked(source, index, video, frames, (boxes, scores, labels))
    dense = [part[5] for part in parts]
    if sum(map(len, dense)) == len(scores) and len(scores):
        return replace(found, class_scores=np.concatenate(dense).astype(np.float32))
    return found


def _checked(
    source: Path, index: VideoIndex, video: NDArray[np.int64], frames: NDArray[np.int64], rows: Rows
) -> SavedDetections:
    boxes, scores, labels = rows
    outside = (
        not np.isfinite(boxes).all() or (np.abs(boxes) > LARGEST_COORDINATE).any() or not np.isfinite(scores).all()
    )
    faults = {
        "a box or score that is no plausible number": outside,
        "a box with x2 before x1 or y2 before y1": bool((boxes[:, 2:] < boxes[:, :2]).any()),
        f"a class beyond the {len(index.labels)} of the data": _beyond(labels, len(index.labels)),
        f"a video beyond the {len(index.videos)} of the data": _beyond(video, len(index.videos)),
        "a frame before the first": _beyond(frames, 2**31),
    }
    wrong = [name for name, found in faults.items() if found]
    if wrong:
        raise ExternalFormatError(f"{source}: holds {', '.join(wrong)}; take detections of this data set and split")
    return SavedDetections(
        index.videos,
        index.labels,
        index.frame_counts,
        index.frame_sizes,
        video,
        frames,
        boxes.astype(np.float32),
        scores.astype(np.float32),
        labels,
    )


def _beyond(values: NDArray[np.int64], end: int) -> bool:
    return bool(len(values)) and not 0 <= values.min() <= values.max() < end


def _by_frame(
    found: SavedDetections, annotated: Sequence[AnnotatedFrames]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Video, frame and rows by falling score, of annotated frames; of a video of unknown length those with boxes."""
    order = np.lexsort((-found.scores, found.frames, found.video))
    for video, count in enumerate(found.frame_counts.tolist()):
        begin, end = np.searchsorted(found.video[order], [video, video + 1])
        mine = order[begin:end]
        shown = within(annotated[video] if annotated else None, count).tolist()
        frames: Iterable[int] = shown if count else sorted(set(found.frames[mine].tolist()))
        for frame in frames:
            first, last = np.searchsorted(found.frames[mine], [frame, frame + 1])
            yield video, frame, mine[first:last]


def _video_index(found: SavedDetections) -> VideoIndex:
    return VideoIndex(found.video_names, found.label_names, found.frame_counts, found.frame_sizes)


def _size(index: VideoIndex, video: int) -> NDArray[np.float64]:
    """Width and height of a video; if unknown, those of UCF101 and J-HMDB."""
    known = index.frame_sizes[video].astype(np.float64)
    return known if known.all() else np.array([320.0, 240.0])


def _frame_number(path: Path, digits: str) -> int:
    if not re.fullmatch(r"\d{1,9}", digits, re.ASCII) or int(digits) < 1:
        raise ExternalFormatError(
            f"{path}: its name does not end in a frame number from 1; name it like 00001{path.suffix}"
        )
    return int(digits) - 1
