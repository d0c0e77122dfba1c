"""UCF101-24, read from its official annotation files. Shell.

Both files (`pyannot.pkl`, `finalAnnots.mat`) give the same records. Their boxes are small unsigned integers that
overflow when a width is added to a corner, so everything becomes int64 or float32 before any arithmetic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.text import to_nfc
from train.datasets.annotation_records import (
    LARGEST_FRAME,
    AnnotationError,
    DataSet,
    GroundTruthTube,
    VideoAnnotation,
    frame_count,
)
from train.datasets.split_lists import list_of_names
from train.safe_reading import array_pickle, mat_files
from train.safe_reading.array_pickle import BROKEN

PICKLE_FILE = "pyannot.pkl"
MATLAB_FILE = "finalAnnots.mat"
RATE = 25.0  # frames per second of UCF101 as published, and of J-HMDB; some files of UCF101 name 29.97
UCF101_SIZE = (320, 240)  # width and height of all its videos, and of J-HMDB's


def load_ucf24(directory: Path) -> DataSet:
    """UCF101-24 split 1 from a folder with the annotations, the lists and `videos/<Class>/`.

    Only the classes with a folder under `videos/` are taken, and labels are counted among those; without `videos/`
    all classes are, by `testlist01.txt`, and whatever is not in it is training data.
    Raises AnnotationError where something is missing or is not what it should be.
    """
    if not directory.is_dir():
        raise AnnotationError(f"{directory}: no such folder; give the folder that holds {PICKLE_FILE} and videos/")
    annotations = _annotations(directory)
    videos = directory / "videos"
    present = {folder.name for folder in videos.iterdir() if folder.is_dir()} if videos.is_dir() else None
    classes = _class_names(annotations.values())
    labels = tuple(name for _, name in sorted(classes.items()) if present is None or name in present)
    if not labels:
        raise AnnotationError(f"{videos}: no class folder in it; put the videos at videos/<Class>/<video>.mp4")
    train, test = _splits(directory, annotations, whole=present is None)
    wanted = {old: labels.index(name) for old, name in classes.items() if name in labels}
    return DataSet(
        labels, _selected(train, annotations, wanted), _selected(test, annotations, wanted), videos, rate=RATE
    )


def read_pickle(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `pyannot.pkl` by name, labels 0-based over all classes; executes nothing the file may carry."""
    try:
        content = array_pickle.load(path)
        return {to_nfc(str(name)): _video_from_pickle(to_nfc(str(name)), video) for name, video in content.items()}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); it belongs to UCF101-24") from error
    except BROKEN as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file again") from error


def read_matlab(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `finalAnnots.mat` by name: the same records as `read_pickle`. Needs scipy."""
    try:
        with mat_files.reader() as read:
            videos = read(path, ("annot",))["annot"]
        return {to_nfc(str(video["name"][0])): _video_from_matlab(video) for video in videos}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); it belongs to UCF101-24") from error
    except (*BROKEN, mat_files.MatError) as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file again") from error


def continuous(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """(n, 4) x y width height in 1-based whole pixels → x1 y1 x2 y2, 0-based continuous, float32."""
    x, y, width, height = np.asarray(boxes).reshape(-1, 4).astype(np.float32).T
    return np.stack([x - 1, y - 1, x - 1 + width, y - 1 + height], axis=1)


def _annotations(directory: Path) -> dict[str, VideoAnnotation]:
    if (directory / PICKLE_FILE).exists():
        return read_pickle(directory / PICKLE_FILE)
    if (directory / MATLAB_FILE).exists():
        return read_matlab(directory / MATLAB_FILE)
    raise AnnotationError(f"{directory}: holds neither {PICKLE_FILE} nor {MATLAB_FILE}; copy one of UCF101-24 there")


def _video_from_pickle(name: str, video: Mapping[str, Any]) -> VideoAnnotation:
    tubes = [(tube["label"], tube["sf"], tube["ef"], tube["boxes"]) for tube in video["annotations"]]
    return _video(name, video["numf"], tubes)


def _video_from_matlab(video: Any) -> VideoAnnotation:
    """MATLAB counts frames and classes from 1, and its last frame is part of the tube."""
    tubes = [
        (tube["class"].item() - 1, tube["sf"].item() - 1, tube["ef"].item(), tube["boxes"]) for tube in video["tubes"]
    ]
    return _video(to_nfc(str(video["name"][0])), video["num_imgs"].item(), tubes)


def _video(name: str, frames: Any, tubes: Iterable[tuple[Any, Any, Any, Any]]) -> VideoAnnotation:
    """Tubes as label, first frame, end frame (exclusive), xywh boxes; ValueError where the counts disagree."""
    records = []
    for label, first, end, xywh in tubes:
        boxes = continuous(xywh)
        if not 0 <= int(first) <= int(end) <= LARGEST_FRAME or int(end) - int(first) != len(boxes):
            raise ValueError(f"{name}: {len(boxes)} boxes for frames {int(first)} to {int(end)}")
        records.append(GroundTruthTube(int(label), int(first), boxes))
    return VideoAnnotation(name, frame_count(frames), tuple(records), UCF101_SIZE)


def _class_names(videos: Iterable[VideoAnnotation]) -> dict[int, str]:
    """Class names by label; a class is named by the folder in front of its videos' names."""
    return {tube.label: video.name.partition("/")[0] for video in videos for tube in video.tubes}


def _splits(directory: Path, annotations: Iterable[str], whole: bool) -> tuple[list[str], list[str]]:
    """Names of the training and of the test videos."""
    if not whole:
        return list_of_names(directory / "trainlist.txt"), list_of_names(directory / "testlist.txt")
    test = list_of_names(directory / "testlist01.txt")
    return sorted(set(annotations) - set(test)), test


def _selected(
    names: Iterable[str], annotations: Mapping[str, VideoAnnotation], wanted: Mapping[int, int]
) -> tuple[VideoAnnotation, ...]:
    """The named videos that show a wanted class, with labels renumbered."""
    missing = [name for name in names if name not in annotations]
    if missing:
        raise AnnotationError(f"{missing[0]} is in a list but not annotated; take lists and annotations of one release")
    return tuple(
        replace(annotations[name], tubes=tubes)
        for name in names
        if (tubes := _relabelled(annotations[name].tubes, wanted))
    )


def _relabelled(tubes: Iterable[GroundTruthTube], wanted: Mapping[int, int]) -> tuple[GroundTruthTube, ...]:
    return tuple(GroundTruthTube(wanted[t.label], t.first_frame, t.boxes) for t in tubes if t.label in wanted)
