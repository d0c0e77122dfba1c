"""Writes the report of a run: one HTML file that needs nothing else. Shell."""

from pathlib import Path

import numpy as np

from convert.report import page, results
from convert.report.incidents import FalseEvent, MissedAction
from convert.report.page import Pictures
from convert.report.pictures import DrawnBox, WantedPicture, as_data_uris
from convert.report.results import RunFiles, Scores
from edge import files as disk
from train.box_tables import in_video
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation, at

WORST = 10  # of each kind are drawn
LEAST_SCORE = 0.1  # of other boxes that are drawn where an action was missed
MOST_FOUND = 4  # of them


def write(title: str, data: DataSet, files: RunFiles, path: Path, warning: str = "") -> None:
    """Read a run and write its page. Raises AnnotationError, ColumnError, EvaluationError, ScoreError."""
    found = results.read(data, files)
    drawn = _pictures(data, found.scores) if found.scores else Pictures()
    content = page.as_html(title, found, drawn, warning).encode()
    try:
        disk.write_atomically(path, content)
    except OSError as error:
        cure = "free space on the disk, or make its folder writable"
        raise AnnotationError(f"{path}: cannot be written ({error.strerror}); {cure}") from error


def _pictures(data: DataSet, scores: Scores) -> Pictures:
    """All in one go, so that each video is read once."""
    wrong, missed = scores.incidents.false_events[:WORST], scores.incidents.missed[:WORST]
    wanted = [_of_false(one, data, scores) for one in wrong] + [_of_missed(one, data, scores) for one in missed]
    drawn = as_data_uris(wanted)
    return Pictures(
        tuple(zip(wrong, drawn[: len(wrong)], strict=True)), tuple(zip(missed, drawn[len(wrong) :], strict=True))
    )


def _of_false(one: FalseEvent, data: DataSet, scores: Scores) -> WantedPicture:
    boxes = _true_boxes(scores.videos[one.video], one.event.best, scores)
    mine = DrawnBox(one.event.box, f"{one.action} {one.event.score:.2f}", true=False)
    return WantedPicture(data.video(one.video), one.event.best, (*boxes, mine))


def _of_missed(one: MissedAction, data: DataSet, scores: Scores) -> WantedPicture:
    boxes = (*_found_boxes(one, scores), *_true_boxes(scores.videos[one.video], one.frame, scores))
    return WantedPicture(data.video(one.video), one.frame, boxes)


def _true_boxes(video: VideoAnnotation, frame: int, scores: Scores) -> tuple[DrawnBox, ...]:
    boxes, labels = at(video, frame)
    return tuple(DrawnBox(box, scores.report.labels[label], True) for box, label in zip(boxes, labels, strict=True))


def _found_boxes(one: MissedAction, scores: Scores) -> tuple[DrawnBox, ...]:
    """What the model has found in that frame, the best first."""
    number = np.int64(list(scores.videos).index(one.video))
    mine = scores.found.where(scores.found.scores >= LEAST_SCORE)
    mine = mine.where(mine.frames == in_video(number, np.array(one.frame, np.int64)))
    mine = mine.where((-mine.scores).argsort(kind="stable")[:MOST_FOUND])
    return tuple(
        DrawnBox(box, f"{scores.report.labels[label]} {score:.2f}", true=False)
        for box, label, score in zip(mine.boxes, mine.labels, mine.scores, strict=True)
    )
