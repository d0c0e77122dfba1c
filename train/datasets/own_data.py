"""One's own videos with their annotations, as CVAT or COCO have them, and the lists that divide them. Shell."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge import files
from train.datasets import zipped_annotation
from train.datasets.annotation_merge import MergeError, merged
from train.datasets.annotation_records import AnnotationError, DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat
from train.datasets.split_lists import list_of_names
from train.datasets.tracks import NamedVideo

COCO_FILE = "annotations.json"
CVAT_FOLDER = "annotations"
LABELS_FILE = "labels.txt"
QUIET_FILE = "quietlist.txt"  # names the videos in which nothing happens
TITLE = "own data"


def load(data: Path) -> DataSet:
    """One's own: `videos/`, `trainlist.txt`, `testlist.txt`, and `annotations/*.xml`, `annotations.json` or neither.

    Without annotations all its videos are in `quietlist.txt`, and it has no labels.
    """
    labels, videos = _own(data)
    by_name = {video.name: video for video in numbered(labels, videos, data)}
    by_name |= background_videos(data, by_name)
    parts = []
    for name in ("trainlist.txt", "testlist.txt"):
        wanted = list_of_names(data / name)
        missing = [one for one in wanted if one not in by_name]
        if missing:
            raise AnnotationError(f"{data / name}: {_unknown(missing[0], by_name)}")
        parts.append(tuple(by_name[one] for one in wanted))
    return DataSet(labels, parts[0], parts[1], data / "videos", TITLE)


def background_videos(data: Path, annotated: Mapping[str, VideoAnnotation]) -> dict[str, VideoAnnotation]:
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


def _own(data: Path) -> tuple[tuple[str, ...], Sequence[NamedVideo]]:
    if (data / COCO_FILE).exists():
        return read_coco(data / COCO_FILE)
    if not (data / CVAT_FOLDER).is_dir():
        return (), ()  # quiet videos alone
    exports = cvat_files(data)
    if not exports:
        raise AnnotationError(f"{data / CVAT_FOLDER}: holds no .xml or .zip file; export CVAT for video 1.1 there")
    labels, videos = labelled(whole(data / CVAT_FOLDER, map(read_cvat, exports)))
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


def cvat_files(data: Path) -> list[Path]:
    """The files of CVAT in a data set, in order, as XML or in a ZIP."""
    endings = (zipped_annotation.XML, zipped_annotation.SUFFIX)
    return [path for path in files_below(data / CVAT_FOLDER) if path.suffix.lower() in endings]


def files_below(folder: Path) -> list[Path]:
    """All files in a folder, as `edge.files.below`. Raises AnnotationError."""
    try:
        return files.below(folder)
    except OSError as error:
        raise AnnotationError(f"{error.filename}: cannot be read ({error.strerror}); make it readable") from error


def whole(folder: Path, parts: Iterable[NamedVideo]) -> list[NamedVideo]:
    """Each video once: several tasks or jobs of CVAT may show parts of it."""
    by_name: dict[str, list[NamedVideo]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    try:
        return [merged(found) for found in by_name.values()]
    except MergeError as error:
        raise AnnotationError(f"{folder}: {error}") from error


def labelled(videos: Sequence[NamedVideo]) -> tuple[tuple[str, ...], Sequence[NamedVideo]]:
    """The labels that occur, in alphabetical order."""
    return tuple(sorted({tube.label for video in videos for tube in video.tubes})), videos


def numbered(labels: Sequence[str], videos: Iterable[NamedVideo], source: Path) -> tuple[VideoAnnotation, ...]:
    """Labels as their places in the list; AnnotationError where a video is there twice."""
    place = {label: number for number, label in enumerate(labels)}
    found: dict[str, VideoAnnotation] = {}
    for video in videos:
        if video.name in found:
            raise AnnotationError(f"{source}: annotates {video.name} twice; keep one, or name the videos apart")
        tubes = tuple(
            GroundTruthTube(place[one.label], one.tube.first_frame, one.tube.boxes, one.origin) for one in video.tubes
        )
        last = max((tube.end_frame for tube in tubes), default=0)
        found[video.name] = VideoAnnotation(
            video.name, max(video.frames, last), tubes, video.size, video.annotated_frames
        )
    return tuple(found.values())
