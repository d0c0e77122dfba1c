"""Shell. Saved detections and tubes scored against the ground truth of a data set, one report for each split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from train.box_tables import FrameBoxes, Tube, in_video, numbered, video_of
from train.datasets import loader
from train.datasets.annotated_frames import AnnotatedFrames, rows_in, tubes_in
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation
from train.datasets.frame_kinds import not_annotated
from train.evaluation import detection_file, external_formats, tube_file
from train.evaluation.detection_file import SavedDetections
from train.evaluation.external_formats import VideoIndex
from train.evaluation.moc_tubes import read_moc_tubes
from train.evaluation.protocols import Protocol
from train.evaluation.report import Report, SplitResult, score_split
from train.evaluation.report_format import as_json
from train.evaluation.shared_labels import SharedLabels, shared_labels
from train.evaluation.splits import Split, of_split
from train.evaluation.tube_file import SavedTubes
from train.evaluation.video_evaluation import true_boxes, true_tubes

MAX_FRAMES = 2**31


class ScoreError(Exception):
    """Files that cannot be scored together; the message names them and the remedy."""


@dataclass(frozen=True)
class ScoreOptions:
    """What to score: files of one split each, in the order of the splits from `fold` on.

    `partial`: only the videos that the files name, instead of an error where some are missing.
    """

    data: Path
    detections: tuple[Path, ...]
    tubes: tuple[Path, ...]
    protocol: Protocol
    fold: int = 1
    split: Split = "test"
    partial: bool = False


@dataclass(frozen=True, eq=False)
class SplitReport:
    """One split: its report, and how many of its videos were scored."""

    title: str
    videos: int
    videos_of_split: int
    report: Report
    not_annotated: int  # frames of these videos, which do not count
    shared: SharedLabels  # the actions that count, and which are left out


@dataclass(frozen=True, eq=False)
class SplitTables:
    """The scored videos of a split, whose tubes and tables hold the labels that are `shared`, by their numbers."""

    videos: tuple[VideoAnnotation, ...]
    videos_of_split: int
    whole: SplitResult
    shared: SharedLabels


def score(options: ScoreOptions) -> tuple[SplitReport, ...]:
    """Score each split. Raises ScoreError, AnnotationError, ColumnError, EvaluationError, ExternalFormatError."""
    given = max(len(options.detections), len(options.tubes))
    if not given:
        raise ScoreError("nothing to score; give --detections, --tubes, or both")
    if options.detections and options.tubes and len(options.detections) != len(options.tubes):
        raise ScoreError(
            f"{len(options.detections)} files of detections and {len(options.tubes)} of tubes; "
            "give one of each for a split"
        )
    return tuple(
        _split_report(
            _data_of(options, place),
            options.detections[place] if options.detections else None,
            options.tubes[place] if options.tubes else None,
            options,
        )
        for place in range(given)
    )


def _data_of(options: ScoreOptions, place: int) -> DataSet:
    """The split that the files in that place are of. Raises AnnotationError, ScoreError."""
    try:
        return loader.load(options.data, options.fold + place)
    except AnnotationError as error:
        if not place:
            raise
        file = (options.detections or options.tubes)[place]
        why = str(error).partition(";")[0]
        raise ScoreError(f"{file}: would be of the next split, but {why}; score one by one") from error


def load_detections(path: Path, videos: Sequence[VideoAnnotation], labels: Sequence[str]) -> SavedDetections:
    """Load our own file, or one of another project, whose videos and classes are those given."""
    if path.suffix == ".npz":
        return detection_file.load(path)
    return external_formats.load(path, video_index(videos, labels))


def load_tubes(path: Path, videos: Sequence[VideoAnnotation], labels: Sequence[str]) -> SavedTubes:
    """Load our own file, or a folder of MOC's, whose videos and classes are those given."""
    return tube_file.load(path) if path.suffix == ".npz" else read_moc_tubes(path, video_index(videos, labels))


def video_index(videos: Sequence[VideoAnnotation], labels: Sequence[str]) -> VideoIndex:
    """What files of other projects lack."""
    sizes = np.array([video.size or (0, 0) for video in videos], dtype=np.int64).reshape(-1, 2)
    counts = np.array([video.frames for video in videos], dtype=np.int64)
    return VideoIndex(tuple(video.name for video in videos), tuple(labels), counts, sizes)


def _split_report(data: DataSet, detections: Path | None, tubes: Path | None, options: ScoreOptions) -> SplitReport:
    one = split_tables(data, detections, tubes, options.split, options.partial)
    return SplitReport(
        f"{data.title}, {options.split}",
        len(one.videos),
        one.videos_of_split,
        score_split(one.whole, one.shared.labels, options.protocol),
        not_annotated(one.videos),
        one.shared,
    )


def split_tables(
    data: DataSet, detections: Path | None, tubes: Path | None, split: Split, partial: bool = False
) -> SplitTables:
    """What the files hold of a split, beside its ground truth. Raises as `score` does."""
    every = of_split(data, split)
    found = load_detections(detections, every, data.labels) if detections else None
    linked = load_tubes(tubes, every, data.labels) if tubes else None
    videos, files = every, []
    for path, saved in ((detections, found), (tubes, linked)):
        if path is not None and saved is not None:
            files.append((path, saved.label_names))
            videos = _present(path, saved.video_names, videos, partial)
    shared = _shared(files, data)
    videos = shared.of(videos)
    names = [video.name for video in videos]
    lengths = _lengths(videos, found)
    annotated = [video.annotated_frames for video in videos]
    table = found.table(dict(zip(names, lengths, strict=True)), shared.labels) if found else None
    true = [true_tubes(video.tubes, length) for video, length in zip(videos, lengths, strict=True)]
    whole = SplitResult(
        _boxes_in_annotated_frames(table, annotated) if table else None,
        None,
        numbered(
            [
                rows_in(true_boxes(video.tubes, length), video.annotated_frames)
                for video, length in zip(videos, lengths, strict=True)
            ]
        ),
        _tubes_in_annotated_frames(linked.chosen(names, shared.labels), annotated) if linked else None,
        tuple(
            replace(tube, video=place) for place, tubes in enumerate(true) for tube in tubes_in(tubes, annotated[place])
        ),
    )
    return SplitTables(videos, len(every), whole, shared)


def _boxes_in_annotated_frames(table: FrameBoxes, annotated: Sequence[AnnotatedFrames]) -> FrameBoxes:
    """The rows in annotated frames; `annotated` by video."""
    parts = [in_video(np.int64(place), frames) for place, frames in enumerate(annotated) if frames is not None]
    if not parts:
        return table
    everywhere = np.array([frames is None for frames in annotated])[video_of(table.frames)]
    return table.where(everywhere | np.isin(table.frames, np.concatenate(parts)))


def _tubes_in_annotated_frames(tubes: Sequence[Tube], annotated: Sequence[AnnotatedFrames]) -> tuple[Tube, ...]:
    return tuple(one for tube in tubes for one in tubes_in([tube], annotated[tube.video]))


def _lengths(videos: Sequence[VideoAnnotation], found: SavedDetections | None) -> list[int]:
    """The frames of each video: the fewer of those annotated and those detected in; a count of 0 is unknown."""
    known = {} if found is None else dict(zip(found.video_names, found.frame_counts.tolist(), strict=True))
    counts = [[count for count in (video.frames, known.get(video.name, 0)) if count] for video in videos]
    return [min(both) if both else MAX_FRAMES for both in counts]


def _shared(files: Sequence[tuple[Path, tuple[str, ...]]], data: DataSet) -> SharedLabels:
    """What the data shares with all of the files, by their labels."""
    for path, labels in files:
        shared_labels(labels, data, path)
    first, known = files[0]
    in_all = [one for one in known if one not in data.labels or all(one in labels for _, labels in files)]
    return shared_labels(in_all, data, first)


def _present(
    path: Path, known: Sequence[str], videos: Sequence[VideoAnnotation], partial: bool
) -> tuple[VideoAnnotation, ...]:
    there = set(known)
    missing = [video.name for video in videos if video.name not in there]
    if missing and not partial:
        raise ScoreError(
            f"{path}: lacks {len(missing)} of {len(videos)} videos, {missing[0]} among them; detect in all of the "
            "split, or score only those that it names with --partial"
        )
    if len(missing) == len(videos):
        raise ScoreError(
            f"{path}: names none of the {len(videos)} videos of the split; give the --data that was detected in"
        )
    return tuple(video for video in videos if video.name in there)


def as_document(results: Sequence[SplitReport], circumstances: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of one split, or of several with their mean."""
    documents = [
        as_json(
            one.report,
            {
                **circumstances,
                "data": one.title,
                "videos": one.videos,
                "videos_of_split": one.videos_of_split,
                "frames_not_annotated": one.not_annotated,
                "left_out": one.shared.left_out,
            },
        )
        for one in results
    ]
    if len(documents) == 1:
        return documents[0]
    keys = ("frame_map", "linked_frame_map", "video_map", "errors")
    return {"mean": {key: _mean([one[key] for one in documents]) for key in keys}, "splits": documents}


def _mean(values: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in values[0]:
        known = [one[name] for one in values]
        numbers = [value for value in known if value is not None]
        means[name] = round(sum(numbers) / len(numbers), 2) if len(numbers) == len(known) else None
    return means
