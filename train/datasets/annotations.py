"""Shell. UCF101-24: where which action is, frame by frame, read from the official annotation files.

Both files (`pyannot.pkl`, `finalAnnots.mat`) give the same records. Their boxes are small unsigned integers that
overflow when a width is added to a corner, so everything becomes int64 or float32 before any arithmetic.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.files import existing_path
from edge.manifest import labels_problem
from edge.text import BOM_CHARACTER, TextError, decode_utf8, near_duplicates, sanitized, shortened, to_nfc
from train.datasets.annotated_frames import AnnotatedFrames
from train.safe_reading import array_pickle, mat_files
from train.safe_reading.array_pickle import BROKEN

PICKLE_FILE = "pyannot.pkl"
MATLAB_FILE = "finalAnnots.mat"
UCF101_SIZE = (320, 240)  # width and height of all its videos, and of J-HMDB's
ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
LARGEST_FRAME = 1_000_000  # of a video: nine hours
LONGEST_NAME = 1000  # letters of a label's, or of a video's with its folders
VALIDATION_GROUPS = ("g23", "g24", "g25")  # of the training videos


class AnnotationError(Exception):
    """The annotations cannot be used; the message names the file and the cure, and may repeat what stands in it."""

    def __init__(self, message: str) -> None:
        super().__init__(shortened(sanitized(message)))


def reason(error: Exception) -> str:
    """What Python says of a broken file, without advice that is meant for programmers."""
    if isinstance(error, ValueError) and str(error).startswith("Exceeds the limit"):
        return "a number of thousands of digits"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"no {error}" if isinstance(error, LookupError) else str(error)


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
    """All tubes of one video, `name`d like `Class/v_Class_gXX_cYY`.

    `frames` is how many it has as far as the annotations tell, 0 where they do not. Those that somebody has looked at
    hold no action but the tubes; of the others nothing is known, even where a tube, interpolated, goes on in them.
    `size` is width and height in pixels, None where the annotations do not tell.
    """

    name: str
    frames: int
    tubes: tuple[GroundTruthTube, ...]
    size: tuple[int, int] | None = None
    annotated_frames: AnnotatedFrames = None


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labels in class order, the videos of each split, and the folder that holds `<name>.mp4` or `<name>.avi`.

    `title` is for reports: the data set and its split. A name that leads out of the folder: AnnotationError.
    """

    labels: tuple[str, ...]
    train: tuple[VideoAnnotation, ...]
    test: tuple[VideoAnnotation, ...]
    videos: Path
    title: str = "UCF101-24 split 1"

    def __post_init__(self) -> None:
        for one, other in near_duplicates(self.labels):
            raise AnnotationError(f"{self.title}: {_twice(one, other)}")
        names = (*self.labels, *(video.name for video in (*self.train, *self.test)))
        odd = next((name for name in names if sanitized(name) != name), None)
        if odd is not None:
            raise AnnotationError(f"{self.title}: {odd!r} holds control characters; name it with letters and figures")
        long = max(map(len, names), default=0)
        if long > LONGEST_NAME:
            raise AnnotationError(f"{self.title}: a name has {long:,} letters; name it with {LONGEST_NAME:,} at most")
        if self.labels and (problem := labels_problem(self.labels)):
            raise AnnotationError(f"{self.title}: its list of actions {problem}; name each with letters and figures")
        outside = next((video.name for video in (*self.train, *self.test) if not stays_inside(video.name)), None)
        if outside is not None:
            raise AnnotationError(
                f"{self.videos}: a video named {outside!r} would lie outside of it; name it without .. and a leading /"
            )

    def video(self, name: str) -> Path:
        """The file of a video: of the ENDINGS, in whatever case, the first that exists, else .avi (also missing)."""
        usual = self.videos / f"{name}.avi"
        paths = [self.videos / f"{name}{ending}" for ending in (*ENDINGS, *map(str.upper, ENDINGS))]
        return next((path for path in paths if path.exists()), None) or _however_spelt(self.videos, name) or usual


def _twice(one: str, other: str) -> str:
    """That two labels are one, and the cure."""
    if one == other:
        return f"the action {one} is named twice; name it once"
    return f"the actions {one!r} and {other!r} differ in capitals or blanks alone; spell them alike, or name them apart"


def _however_spelt(videos: Path, name: str) -> Path | None:
    """A video of this name in another Unicode form, or of an ending like `.Mp4`."""
    folder, _, stem = name.rpartition("/")
    try:
        files = sorted(existing_path(videos, folder).iterdir())
    except OSError:
        return None
    near_duplicates = (one for one in files if to_nfc(one.stem) == to_nfc(stem) and one.suffix.lower() in ENDINGS)
    return next(near_duplicates, None)


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
    """Training and validation videos: whole groups (`g23`) go to validation, because a group shares one scene.

    Where no name carries a group, every fifth video of each class is for validation.
    """
    videos = tuple(videos)
    names = [re.search(r"_(g\d\d)_", f"{video.name}_") for video in videos]
    if any(names):
        held = [name is not None and name[1] in groups for name in names]
    else:
        held = _every_fifth(videos)
    return (
        tuple(video for video, out in zip(videos, held, strict=True) if not out),
        tuple(video for video, out in zip(videos, held, strict=True) if out),
    )


def read_pickle(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `pyannot.pkl` by name, labels 0-based over all classes; executes nothing the file may carry."""
    try:
        content = array_pickle.load(path)
        return {to_nfc(str(name)): _video_from_pickle(to_nfc(str(name)), video) for name, video in content.items()}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); it belongs to UCF101-24") from error
    except BROKEN as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file anew") from error


def read_matlab(path: Path) -> dict[str, VideoAnnotation]:
    """The videos of `finalAnnots.mat` by name: the same records as `read_pickle`. Needs scipy."""
    try:
        with mat_files.reader() as read:
            videos = read(path, ("annot",))["annot"]
        return {to_nfc(str(video["name"][0])): _video_from_matlab(video) for video in videos}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); it belongs to UCF101-24") from error
    except (*BROKEN, mat_files.MatError) as error:
        raise AnnotationError(f"{path}: not the annotations of UCF101-24 ({error}); copy the file anew") from error


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


def frame_count(number: Any) -> int:
    """A number of frames, as a foreign file tells it; ValueError where no video has so many."""
    count = int(number)
    if not 0 <= count <= LARGEST_FRAME:
        raise ValueError(f"{count} frames are no video")
    return count


def _class_names(videos: Iterable[VideoAnnotation]) -> dict[int, str]:
    """Class names by label; a class is named by the folder in front of its videos' names."""
    return {tube.label: video.name.partition("/")[0] for video in videos for tube in video.tubes}


def _every_fifth(videos: Iterable[VideoAnnotation]) -> list[bool]:
    """True for the last of each five videos whose first tube is of one class."""
    seen: Counter[int] = Counter()
    held = []
    for video in videos:
        label = video.tubes[0].label if video.tubes else -1
        seen[label] += 1
        held.append(seen[label] % 5 == 0)
    return held


def _splits(directory: Path, annotations: Iterable[str], whole: bool) -> tuple[list[str], list[str]]:
    """Names of the training and of the test videos."""
    if not whole:
        return list_of_names(directory / "trainlist.txt"), list_of_names(directory / "testlist.txt")
    test = list_of_names(directory / "testlist01.txt")
    return sorted(set(annotations) - set(test)), test


def list_of_names(path: Path) -> list[str]:
    """The names of a list, one a line in UTF-8, without the endings of videos. Raises AnnotationError."""
    try:
        lines = (
            decode_utf8(path.read_bytes()).replace(BOM_CHARACTER, "").split("\n")
        )  # lists may have been put together
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); write one name a line into it") from error
    except TextError as error:
        raise AnnotationError(f"{path}: {error}, one name a line") from error
    return [without_ending(to_nfc(name)) for line in lines if (name := line.strip())]


def stays_inside(name: str) -> bool:
    """Whether a video of this name lies in the folder that its name is joined to: neither absolute, nor with `..`."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def without_ending(name: str) -> str:
    """The name of a video without what tells its container."""
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)


def _selected(
    names: Iterable[str], annotations: Mapping[str, VideoAnnotation], wanted: Mapping[int, int]
) -> tuple[VideoAnnotation, ...]:
    """The named videos that show a wanted class, with labels counted anew."""
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
