"""The report of an evaluation: counts, means, table, JSON, pictures."""

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from train.box_tables import FrameBoxes, Tube, joined
from train.evaluation.plots import PlotError, confusion, precision_recall_curves, training_curves
from train.evaluation.protocols import Protocol
from train.evaluation.report import VIDEO_KEYS, Report, VideoResult, score_videos
from train.evaluation.report_format import as_json, as_table, comparison_note

BOX = (10.0, 10.0, 50.0, 90.0)
LABELS = ("Surfing", "Basketball", "Biking")  # Biking has no ground truth


def boxes(frames: range, label: int, score: float = 1.0, box: tuple[float, ...] = BOX) -> FrameBoxes:
    count = len(frames)
    return FrameBoxes(
        np.array(frames, dtype=np.int64),
        np.full(count, label, dtype=np.int64),
        np.tile(np.array(box, dtype=np.float32), (count, 1)),
        np.full(count, score, dtype=np.float32),
    )


def tube(frames: range, label: int, score: float = 1.0) -> Tube:
    return Tube(0, label, score, frames.start, boxes(frames, label).boxes)


def perfect(label: int, frames: range = range(3, 23)) -> VideoResult:
    everything = boxes(frames, label)
    return VideoResult(everything, everything, everything, (tube(frames, label),), (tube(frames, label),))


def half() -> VideoResult:
    """Surfing in frames 0 to 9; what is found lies over frames 0 to 19, and where it is false linking doubts it."""
    truth, found = boxes(range(10), 0), boxes(range(20), 0, 0.8)
    linked = joined([boxes(range(10), 0, 0.8), boxes(range(10, 20), 0, 0.7)])
    return VideoResult(found, linked, truth, (tube(range(20), 0, 0.8),), (tube(range(10), 0),))


def test_labels_of_any_script_are_drawn(tmp_path: Path) -> None:
    """Without matplotlib's warning of glyphs that are missing; `$` and a leading `_` mean nothing."""
    labels = ("投篮", "Größe", "прыжок", "$a$ {b", "_c", "🤸")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion(labels, np.eye(7, dtype=np.int64), 0.3, tmp_path / "a.png")
        found = score_videos([perfect(label) for label in range(6)], labels, Protocol())
        precision_recall_curves(labels, found.curves, [0.5] * 6, tmp_path / "b.png")
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    assert cv2.imread(str(tmp_path / "b.png")) is not None


def test_a_perfect_detector_has_a_hundred_everywhere() -> None:
    content = as_json(score_videos([perfect(0), perfect(1)], LABELS, Protocol()), {"split": "test"})
    assert content["frame_map"] == {"0.5": 100.0}
    assert content["video_map"] == dict.fromkeys(VIDEO_KEYS, 100.0)
    assert content["mean"]["f1"] == 100.0
    assert content["per_class"]["Basketball"]["frame_ap"] == {"0.5": 100.0}
    assert content["confusion"]["matrix"] == [[20, 0, 0, 0], [0, 20, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert content["protocol"]["split"] == "test"


def test_what_linking_changes_is_counted_apart() -> None:
    content = as_json(score_videos([half()], LABELS, Protocol()), {})
    assert content["frame_map"] == {"0.5": 50.0}
    assert content["linked_frame_map"] == {"0.5": 100.0}
    assert content["per_class"]["Surfing"]["linked_frame_ap"] == {"0.5": 100.0}
    annotated = as_json(score_videos([half()], LABELS, Protocol(frames="annotated")), {})
    assert annotated["frame_map"] == annotated["linked_frame_map"] == {"0.5": 100.0}


def test_a_class_without_truth_is_named_and_left_out() -> None:
    scores = score_videos([perfect(0), perfect(1)], LABELS, Protocol())
    assert scores.without_truth == ("Biking",)
    content = as_json(scores, {})
    assert content["protocol"]["classes_without_ground_truth"] == ["Biking"]
    assert content["per_class"]["Biking"]["frame_ap"] == {"0.5": None}
    assert content["per_class"]["Biking"]["recall"] is None
    assert "Biking: no ground truth" in as_table(scores)
    json.dumps(content, allow_nan=False)


def test_false_alarms_in_background_frames_count_unless_only_annotated_frames_do() -> None:
    everywhere = score_videos([half()], LABELS, Protocol(frames="all"))
    annotated = score_videos([half()], LABELS, Protocol(frames="annotated"))
    # all scores are equal: one box in two is right all along the curve
    assert everywhere.frame_map == pytest.approx(0.5)
    assert annotated.frame_map == pytest.approx(1.0)
    # the tube overlaps in 10 of 20 frames: a hit at 0.2 and at 0.5, one of the ten of 0.5:0.95
    assert everywhere.video_map == pytest.approx({"0.2": 1, "0.5": 1, "0.75": 0, "0.5:0.95": 0.1})


def test_videos_do_not_mix() -> None:
    # the same frames and boxes, but of another video
    found, true = perfect(0), perfect(1)
    strangers = [
        VideoResult(found.found, found.linked, true.truth, found.tubes, ()),
        VideoResult(true.found, true.linked, found.truth, (), ()),
    ]
    scores = score_videos(strangers, ("Surfing", "Basketball"), Protocol())
    assert scores.frame_map == 0
    assert np.isnan(scores.video_map["0.5"])


def test_a_given_threshold_is_used_for_precision_recall_and_confusion() -> None:
    scores = score_videos([half()], LABELS, Protocol(threshold=0.9))
    assert scores.classes[0].point.recall == 0
    assert scores.confusion_score == 0.9
    assert scores.confusion[0, 3] == 10
    assert "score >= 0.9" in as_table(scores)


@pytest.mark.parametrize("rule", ["voc", "act"])
def test_nothing_at_all(rule: str) -> None:
    scores = score_videos([], LABELS, Protocol(rule=rule))  # type: ignore[arg-type]
    assert np.isnan(scores.frame_map)
    assert as_json(scores, {})["frame_map"] == {"0.5": None}
    assert as_table(scores)


def test_five_classes_are_not_compared_with_published_tables() -> None:
    assert "not comparable" in comparison_note(5)
    assert "not comparable" not in comparison_note(24)
    assert "not comparable" not in comparison_note(21, "J-HMDB-21 split 1, test")
    assert comparison_note(21, "J-HMDB-21 split 1, validation").startswith("Scores on the validation videos are not")


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def draw(scores: Report, folder: Path) -> None:
    averages = [one.frame_ap for one in scores.classes]
    precision_recall_curves(scores.labels, scores.curves, averages, folder / "curves.png")
    confusion(scores.labels, scores.confusion, scores.confusion_score, folder / "confusion.png")


@pytest.mark.parametrize("videos", [[], [half(), perfect(1)]])
def test_pictures(tmp_path: Path, videos: list[VideoResult]) -> None:
    draw(score_videos(videos, LABELS, Protocol()), tmp_path / "made")
    assert is_png(tmp_path / "made" / "curves.png")
    assert is_png(tmp_path / "made" / "confusion.png")


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlotError, match="choose another folder"):
        draw(score_videos([], LABELS, Protocol()), tmp_path / "file")


def test_training_curves(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("samples,loss,size_loss,frame_map,learning_rate\n32,3.5,1.0,,0.001\n64,2.5,0.5,41.0,0.001\n")
    training_curves(log, tmp_path / "curves.png")
    assert is_png(tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "cannot be read"), ("samples,loss\n", "no line"), ("a,b\n1,two\n", "not a table")]
)
def test_a_log_that_cannot_be_drawn(tmp_path: Path, content: str | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "log.csv").write_text(content)
    with pytest.raises(PlotError, match=complaint):
        training_curves(tmp_path / "log.csv", tmp_path / "curves.png")


def test_the_curves_of_many_actions_leave_room_for_themselves(tmp_path: Path) -> None:
    """The legend of 30 stands beside the panel; matplotlib warns where it leaves no room for what is drawn."""
    names = ["frame_map_50", *(f"action_{number}" for number in range(29))]
    rows = [",".join(map(str, [samples, *range(samples, samples + 30)])) for samples in (10, 20)]
    (tmp_path / "log.csv").write_text("\n".join([",".join(["samples", *names]), *rows]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image is not None
    assert image.shape[1] > 1440  # wider than the curves of a few
