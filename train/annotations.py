"""Shell. UCF101-24: where which action is, frame by frame, read from the official annotation files.

Both files (`pyannot.pkl`, `finalAnnots.mat`) give the same records. Their boxes are small unsigned integers that
overflow when a width is added to a corner, so everything becomes int64 or float32 before any arithmetic.
"""

import _codecs
import io
import pickle
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PICKLE_FILE = "pyannot.pkl"
MATLAB_FILE = "finalAnnots.mat"
VALIDATION_GROUPS = ("g23", "g24", "g25")  # of the training videos


class AnnotationError(Exception):
    """The annotations cannot be used; the message names the file and the cure."""


@dataclass(frozen=True, eq=False)
class GroundTruthTube:
    """One person doing one action without a break.

    `boxes` is (n, 4) float32, x1 y1 x2 y2, pixels of the source frame, 0-based and continuous (a box over the whole
    320x240 frame is 0 0 320 240); row i belongs to frame `first_frame + i` (0-based).
    """

    label: int
    first_frame: int
    boxes: NDArray[np.float32]

    @property
    def end_frame(self) -> int:
        """The first frame after the tube."""
        return self.first_frame + len(self.boxes)


@dataclass(frozen=True, eq=False)
class VideoAnnotation:
    """All tubes of one video; frames without a tube hold no action. `name` is `Class/v_Class_gXX_cYY`."""

    name: str
    frames: int
    tubes: tuple[GroundTruthTube, ...]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labels in class order, the videos of each split, and the folder that holds `<name>.mp4` or `<name>.avi`."""

    labels: tuple[str, ...]
    train: tuple[VideoAnnotation, ...]
    test: tuple[VideoAnnotation, ...]
    videos: Path

    def video(self, name: str) -> Path:
        """The file of a video: .mp4 where there is one, else .avi (which may be missing too)."""
        path = self.videos / f"{name}.mp4"
        return path if path.exists() else self.videos / f"{name}.avi"


def at(annotation: VideoAnnotation, frame: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The boxes (N, 4) float32 and labels (N,) int64 of a 0-based frame; N is 0 where nothing is annotated."""
    present = [tube for tube in annotation.tubes if tube.first_frame <= frame < tube.end_frame]
    boxes = [tube.boxes[frame - tube.first_frame] for tube in present]
    labels = np.array([tube.label for tube in present], dtype=np.int64)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), labels


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
    return DataSet(labels, _selected(train, annotations, wanted), _selected(test, annotations, wanted), videos)


def held_out(
    videos: Iterable[VideoAnnotation], groups: Collection[str] = VALIDATION_GROUPS
) -> tuple[tuple[VideoAnnotation, ...], tuple[VideoAnnotation, ...]]:
    """Training and validation videos: whole groups (`g23`) go to validation, because a group shares one scene."""
    of_group = [(video.name.rpartition("_g")[2].partition("_")[0], video) for video in videos]
    return (
        tuple(video for number, video in of_group if f"g{number}" not in groups),
        tuple(video for number, video in of_group if f"g{number}" in groups),
    )


def read_pickle(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `pyannot.pkl` by name, labels 0-based over all classes; executes nothing the file may carry."""
    try:
        content = _NumpyUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        return {str(name): _video_from_pickle(str(name), video) for name, video in content.items()}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); it belongs to UCF101-24") from error
    except _BROKEN as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file anew") from error


def read_matlab(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `finalAnnots.mat` by name: the same records as `read_pickle`. Needs scipy."""
    import scipy.io

    try:
        videos = scipy.io.loadmat(path)["annot"].ravel()
        return {str(video["name"][0]): _video_from_matlab(video) for video in videos}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error}); it belongs to UCF101-24") from error
    except (*_BROKEN, scipy.io.matlab.MatReadError) as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file anew") from error


def continuous(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """(n, 4) x y width height in 1-based whole pixels → x1 y1 x2 y2, 0-based continuous, float32."""
    x, y, width, height = np.asarray(boxes).reshape(-1, 4).astype(np.float32).T
    return np.stack([x - 1, y - 1, x - 1 + width, y - 1 + height], axis=1)


# what a damaged or foreign pickle or MATLAB file raises while it is read
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)

# the only names that the annotation pickle may call; numpy 2 moved two of them
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _codecs.encode,
    **{(module, "_reconstruct"): np.zeros(0).__reduce__()[0] for module in _MULTIARRAY},
    **{(module, "scalar"): np.float64(0).__reduce__()[0] for module in _MULTIARRAY},
}


class _NumpyUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain Python values, refuses every other name by name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which annotations never need")
        return _ALLOWED[module, name]


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
        (tube["class"].item() - 1, tube["sf"].item() - 1, tube["ef"].item(), tube["boxes"])
        for tube in video["tubes"].ravel()
    ]
    return _video(str(video["name"][0]), video["num_imgs"].item(), tubes)


def _video(name: str, frames: Any, tubes: Iterable[tuple[Any, Any, Any, Any]]) -> VideoAnnotation:
    """Tubes as label, first frame, end frame (exclusive), xywh boxes; ValueError where the counts disagree."""
    records = []
    for label, first, end, xywh in tubes:
        boxes = continuous(xywh)
        if int(first) < 0 or int(end) - int(first) != len(boxes):
            raise ValueError(f"{name}: {len(boxes)} boxes for frames {int(first)} to {int(end)}")
        records.append(GroundTruthTube(int(label), int(first), boxes))
    return VideoAnnotation(name, int(frames), tuple(records))


def _class_names(videos: Iterable[VideoAnnotation]) -> dict[int, str]:
    """Class names by label; a class is named by the folder in front of its videos' names."""
    return {tube.label: video.name.partition("/")[0] for video in videos for tube in video.tubes}


def _splits(directory: Path, annotations: Iterable[str], whole: bool) -> tuple[list[str], list[str]]:
    """Names of the training and of the test videos."""
    if not whole:
        return _names(directory / "trainlist.txt"), _names(directory / "testlist.txt")
    test = _names(directory / "testlist01.txt")
    return sorted(set(annotations) - set(test)), test


def _names(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(
            f"{path}: cannot be read ({error}); one video name a line, Class/v_Class_gXX_cYY"
        ) from error
    return [name.removesuffix(".avi") for line in lines if (name := line.strip())]


def _selected(
    names: Iterable[str], annotations: Mapping[str, VideoAnnotation], wanted: Mapping[int, int]
) -> tuple[VideoAnnotation, ...]:
    """The named videos that show a wanted class, with labels counted anew."""
    missing = [name for name in names if name not in annotations]
    if missing:
        raise AnnotationError(f"{missing[0]} is in a list but not annotated; take lists and annotations of one release")
    return tuple(
        VideoAnnotation(name, annotations[name].frames, tubes)
        for name in names
        if (tubes := _relabelled(annotations[name].tubes, wanted))
    )


def _relabelled(tubes: Iterable[GroundTruthTube], wanted: Mapping[int, int]) -> tuple[GroundTruthTube, ...]:
    return tuple(GroundTruthTube(wanted[t.label], t.first_frame, t.boxes) for t in tubes if t.label in wanted)
