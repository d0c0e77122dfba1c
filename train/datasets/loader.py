"""Shell. Loads any data set that is supported, recognised by the files in its folder, or a file of ground truth alone.

`docs/evaluation.md` lists them: UCF101-24, J-HMDB-21, the layout of ACT and MOC, and one's own videos.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from train.datasets.annotation_merge import MergeError, merged
from train.datasets.annotation_records import AnnotationError, DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat
from train.datasets.jhmdb import HMDB_FILE, Folds, read_act, read_jhmdb21
from train.datasets.split_lists import list_of_names
from train.datasets.tracks import NamedVideo
from train.datasets.ucf24 import MATLAB_FILE, PICKLE_FILE, RATE, load_ucf24, read_matlab, read_pickle

COCO_FILE = "annotations.json"
CVAT_FOLDER = "annotations"
LABELS_FILE = "labels.txt"
QUIET_FILE = "quietlist.txt"  # names the videos in which nothing happens
OWN = "own data"
LAYOUTS = (
    f"{CVAT_FOLDER}/*.xml (own videos, CVAT for video 1.1), {COCO_FILE} (own videos, COCO), "
    f"{PICKLE_FILE} or {MATLAB_FILE} (UCF101-24), {HMDB_FILE} (J-HMDB-21), *-GT.pkl (ACT, MOC)"
)


def load(data: Path, fold: int = 1) -> DataSet:
    """The data set in a folder, or in one file; `fold` is its split where it has several. Raises AnnotationError."""
    if data.is_file():
        return _of_file(data, fold)
    if not data.is_dir():
        raise AnnotationError(f"{data}: no such folder or file; give the folder of a data set")
    folds = _folds(data)
    if folds is not None:
        return folds[0].fold(fold, folds[1], data)
    if (data / COCO_FILE).exists() or (data / CVAT_FOLDER).is_dir():
        return _only(fold, load_own(data))
    if (data / PICKLE_FILE).exists() or (data / MATLAB_FILE).exists():
        return _only(fold, load_ucf24(data))
    if (data / QUIET_FILE).exists():
        return _only(fold, load_own(data))
    raise AnnotationError(f"{data}: no data set, it holds none of {LAYOUTS}; see docs/evaluation.md, Data sets")


def load_all(places: Sequence[Path], folds: Sequence[int]) -> list[DataSet]:
    """Several data sets; `folds`: the split of each, or one number for all. Raises AnnotationError."""
    resolved = [place.resolve() for place in places]
    twice = next((place for place, one in zip(places, resolved, strict=True) if resolved.count(one) > 1), None)
    if twice is not None:
        raise AnnotationError(f"{twice}: is given twice; give each data set once")
    numbers = folds if len(folds) > 1 else [*folds] * len(places)
    if len(numbers) != len(places):
        given = ",".join(map(str, folds))
        raise AnnotationError(f"--fold {given}: give one number for each data set, {len(places)} in all")
    try:
        return [load(place, fold) for place, fold in zip(places, numbers, strict=True)]
    except AnnotationError as error:
        if len(numbers) == len(folds) or folds[0] == 1:
            raise
        raise AnnotationError(f"{error}; of several data sets give each its own, like --fold 1,{folds[0]}") from error


def load_own(data: Path) -> DataSet:
    """One's own: `videos/`, `trainlist.txt`, `testlist.txt`, and `annotations/*.xml`, `annotations.json` or neither.

    Without annotations all its videos are in `quietlist.txt`, and it has no labels.
    """
    labels, videos = _own(data)
    by_name = {video.name: video for video in _numbered(labels, videos, data)}
    by_name |= _background_videos(data, by_name)
    parts = []
    for name in ("trainlist.txt", "testlist.txt"):
        wanted = list_of_names(data / name)
        missing = [one for one in wanted if one not in by_name]
        if missing:
            raise AnnotationError(f"{data / name}: {_unknown(missing[0], by_name)}")
        parts.append(tuple(by_name[one] for one in wanted))
    return DataSet(labels, parts[0], parts[1], data / "videos", OWN)


def _background_videos(data: Path, annotated: Mapping[str, VideoAnnotation]) -> dict[str, VideoAnnotation]:
    """The videos listed as showing no action; without an annotation all their frames count as annotated."""
    if not (data / QUIET_FILE).exists():
        return {}
    names = list_of_names(data / QUIET_FILE)
    busy = next((name for name in names if name in annotated and annotated[name].tubes), None)
    if busy is not None:
        raise AnnotationError(f"{data / QUIET_FILE}: {busy} is annotated with actions; take it off this list")
    return {name: replace(annotated.get(name) or VideoAnnotation(name, 0, ()), quiet=True) for name in names}


def _unknown(name: str, known: Collection[str]) -> str:
    """What is wrong with a listed name that is not annotated."""
    alike = next((one for one in known if one.rpartition("/")[2] == name.rpartition("/")[2]), None)
    if alike is not None:
        return f"{name} is not annotated, but {alike} is; spell both alike"
    close = difflib.get_close_matches(name, known)
    others = f" (annotated: {', '.join(close)}; the XML of a job has the name of its video)" if close else ""
    remedy = f"annotate it, name it in {QUIET_FILE} if nothing happens in it, or take it off"
    return f"{name} is not annotated{others}; {remedy}"


def _of_file(path: Path, fold: int) -> DataSet:
    """Ground truth alone: the test videos are those of the list beside it, or all."""
    if path.name == HMDB_FILE:
        return read_jhmdb21(path.parent).fold(fold, "J-HMDB-21", path.parent)
    suffix = path.suffix.lower()
    if suffix in (".xml", ".json"):
        labels, videos = read_coco(path) if suffix == ".json" else _labelled([read_cvat(path)])
        return _only(fold, DataSet(labels, (), _numbered(labels, videos, path), path.parent / "videos", OWN))
    if path.suffix == ".mat" or path.name == PICKLE_FILE:
        return _only(fold, _ucf24_file(path))
    if path.suffix == ".pkl":
        return read_act(path).fold(fold, path.stem.removesuffix("-GT"), path.parent)
    raise AnnotationError(f"{path}: not a file of ground truth; give .pkl, .mat, .xml or .json, or a folder")


def _ucf24_file(path: Path) -> DataSet:
    annotations = read_matlab(path) if path.suffix == ".mat" else read_pickle(path)
    names = {tube.label: video.name.partition("/")[0] for video in annotations.values() for tube in video.tubes}
    labels = tuple(names.get(label, f"class {label}") for label in range(max(names, default=-1) + 1))
    lists = [path.parent / name for name in ("testlist01.txt", "testlist.txt")]
    beside = next((one for one in lists if one.exists()), None)
    wanted = sorted(annotations) if beside is None else list_of_names(beside)
    missing = [name for name in wanted if name not in annotations]
    if missing:
        raise AnnotationError(f"{beside}: {missing[0]} is not in {path.name}; take both of one release")
    test = tuple(annotations[name] for name in wanted)
    rest = tuple(video for name, video in sorted(annotations.items()) if name not in set(wanted))
    return DataSet(labels, rest, test, path.parent / "videos", rate=RATE)


def _folds(data: Path) -> tuple[Folds, str] | None:
    if (data / PICKLE_FILE).exists() or (data / MATLAB_FILE).exists():
        return None
    if (data / HMDB_FILE).exists():
        return read_jhmdb21(data), "J-HMDB-21"
    found = sorted(data.glob("*-GT.pkl"))
    return (read_act(found[0]), found[0].name.removesuffix("-GT.pkl")) if found else None


def _own(data: Path) -> tuple[tuple[str, ...], Sequence[NamedVideo]]:
    if (data / COCO_FILE).exists():
        return read_coco(data / COCO_FILE)
    if not (data / CVAT_FOLDER).is_dir():
        return (), ()  # quiet videos alone
    files = sorted(path for path in (data / CVAT_FOLDER).glob("**/*") if path.suffix.lower() == ".xml")
    if not files:
        raise AnnotationError(f"{data / CVAT_FOLDER}: holds no .xml file; export CVAT for video 1.1 there")
    labels, videos = _labelled(_whole(data / CVAT_FOLDER, map(read_cvat, files)))
    if (data / LABELS_FILE).exists():
        listed = tuple(list_of_names(data / LABELS_FILE))
        twice = next((name for name in listed if listed.count(name) > 1), None)
        if twice is not None:
            raise AnnotationError(f"{data / LABELS_FILE}: names {twice} twice; give every action one line")
        unknown = [label for label in labels if label not in listed]
        if unknown:
            raise AnnotationError(f"{data / LABELS_FILE}: lacks {', '.join(unknown)}; add a line for each action")
        return listed, videos
    return labels, videos


def _whole(folder: Path, parts: Iterable[NamedVideo]) -> list[NamedVideo]:
    """Each video once: several tasks or jobs of CVAT may show parts of it."""
    by_name: dict[str, list[NamedVideo]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    try:
        return [merged(found) for found in by_name.values()]
    except MergeError as error:
        raise AnnotationError(f"{folder}: {error}") from error


def _labelled(videos: Sequence[NamedVideo]) -> tuple[tuple[str, ...], Sequence[NamedVideo]]:
    """The labels that occur, in alphabetical order."""
    return tuple(sorted({tube.label for video in videos for tube in video.tubes})), videos


def _numbered(labels: Sequence[str], videos: Iterable[NamedVideo], source: Path) -> tuple[VideoAnnotation, ...]:
    place = {label: number for number, label in enumerate(labels)}
    found: dict[str, VideoAnnotation] = {}
    for video in videos:
        if video.name in found:
            raise AnnotationError(f"{source}: annotates {video.name} twice; keep one, or name the videos apart")
        tubes = tuple(GroundTruthTube(place[one.label], one.tube.first_frame, one.tube.boxes) for one in video.tubes)
        last = max((tube.end_frame for tube in tubes), default=0)
        found[video.name] = VideoAnnotation(
            video.name, max(video.frames, last), tubes, video.size, video.annotated_frames
        )
    return tuple(found.values())


def _only(fold: int, data: DataSet) -> DataSet:
    if fold != 1:
        raise AnnotationError(f"{data.title} has one split, not {fold}; leave the number away")
    return data
