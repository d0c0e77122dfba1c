"""Shell. Loads any data set that is supported, recognised by the files in its folder, or a file of ground truth alone.

`docs/evaluation.md` lists them: UCF101-24, J-HMDB-21, the layout of ACT and MOC, and one's own videos.
"""

from collections.abc import Sequence
from pathlib import Path

from train.datasets import actions_file, own_data, project_data, split_lists
from train.datasets.annotation_records import AnnotationError, DataSet
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat
from train.datasets.jhmdb import HMDB_FILE, Folds, read_act, read_jhmdb21
from train.datasets.own_data import COCO_FILE, CVAT_FOLDER, QUIET_FILE, TITLE, labelled, numbered
from train.datasets.split_lists import list_of_names
from train.datasets.ucf24 import MATLAB_FILE, PICKLE_FILE, RATE, load_ucf24, read_matlab, read_pickle

LAYOUTS = (
    f"{actions_file.NAME} (a project of korsal-train new), "
    f"{CVAT_FOLDER}/*.xml (own videos, CVAT for video 1.1), {COCO_FILE} (own videos, COCO), "
    f"{PICKLE_FILE} or {MATLAB_FILE} (UCF101-24), {HMDB_FILE} (J-HMDB-21), *-GT.pkl (ACT, MOC)"
)


def load(data: Path, fold: int = 1) -> DataSet:
    """The data set in a folder, or in one file; `fold` is its split where it has several. Raises AnnotationError."""
    if data.is_file():
        return _of_file(data, fold)
    if not data.is_dir():
        raise AnnotationError(f"{data}: no such folder or file; give the folder of a data set")
    if actions_file.is_in(data):
        return split_lists.with_validation_list(_only(fold, project_data.load(data)), data)
    return split_lists.with_validation_list(_of_folder(data, fold), data)


def _of_folder(data: Path, fold: int) -> DataSet:
    folds = _folds(data)
    if folds is not None:
        return folds[0].fold(fold, folds[1], data)
    if (data / COCO_FILE).exists() or (data / CVAT_FOLDER).is_dir():
        return _only(fold, own_data.load(data))
    if (data / PICKLE_FILE).exists() or (data / MATLAB_FILE).exists():
        return _only(fold, load_ucf24(data))
    if (data / QUIET_FILE).exists():
        return _only(fold, own_data.load(data))
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


def _of_file(path: Path, fold: int) -> DataSet:
    """Ground truth alone: the test videos are those of the list beside it, or all."""
    if path.name == HMDB_FILE:
        return read_jhmdb21(path.parent).fold(fold, "J-HMDB-21", path.parent)
    suffix = path.suffix.lower()
    if suffix in (".xml", ".json"):
        labels, videos = read_coco(path) if suffix == ".json" else labelled([read_cvat(path)])
        return _only(fold, DataSet(labels, (), numbered(labels, videos, path), path.parent / "videos", TITLE))
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


def _only(fold: int, data: DataSet) -> DataSet:
    if fold != 1:
        raise AnnotationError(f"{data.title} has one split, not {fold}; leave the number away")
    return data
