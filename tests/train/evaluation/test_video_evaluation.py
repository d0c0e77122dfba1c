"""One annotated video through the pipeline, beside its ground truth."""

from pathlib import Path
from typing import Any

import pytest

from edge.tiles import Tiling
from tests.support.annotated_player import ENGINE, FRAMES, LABELS, PLAYS, tube, write_video
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation.protocols import Protocol
from train.evaluation.report import score_videos
from train.evaluation.video_evaluation import evaluate_video, label_indices, true_boxes, true_tubes


@pytest.mark.parametrize("kind", ["default", "korsal"])
def test_a_perfect_network_has_a_frame_map_of_100(tmp_path: Path, kind: Any) -> None:
    write_video(tmp_path / "v.mp4")
    annotation = VideoAnnotation("Surfing/v", FRAMES, (tube(1),))
    result = evaluate_video(annotation, tmp_path / "v.mp4", ENGINE, LABELS, kind)
    assert result.found.frames.tolist() == list(PLAYS)
    scores = score_videos([result], LABELS, Protocol())
    assert scores.frame_map == pytest.approx(1.0)
    assert scores.video_map["0.5"] == pytest.approx(1.0)


@pytest.mark.parametrize("columns", [2, 3])
def test_tiles_are_evaluated_in_the_frames_pixels(tmp_path: Path, columns: int) -> None:
    """Whoever stands at a seam is one person, where he stands."""
    write_video(tmp_path / "v.mp4")
    annotation, tiling = VideoAnnotation("Surfing/v", FRAMES, (tube(1),)), Tiling(columns=columns)
    result = evaluate_video(annotation, tmp_path / "v.mp4", ENGINE, LABELS, "default", tiling=tiling)
    assert result.found.frames.tolist() == list(PLAYS)
    assert score_videos([result], LABELS, Protocol()).frame_map == pytest.approx(1.0)


def test_labels_are_matched_by_name(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4")
    annotation = VideoAnnotation("Surfing/v", FRAMES, (tube(0),))
    result = evaluate_video(annotation, tmp_path / "v.mp4", ENGINE, ("Surfing", "Yoga"), "default")
    assert set(result.found.labels.tolist()) == {0}
    assert score_videos([result], ("Surfing", "Yoga"), Protocol()).frame_map == pytest.approx(1.0)
    linked = result.linked
    assert set(linked.labels.tolist()) == {0}
    assert linked.frames.tolist()[: len(PLAYS)] == list(PLAYS)  # then come frames that the tube is extrapolated into
    nothing = evaluate_video(annotation, tmp_path / "v.mp4", ENGINE, ("Yoga",), "default")
    assert (len(nothing.found.labels), len(nothing.linked.labels), nothing.tubes) == (0, 0, ())
    assert label_indices(("a", "b", "c"), ("c", "a")).tolist() == [1, -1, 0]


def test_frames_beyond_either_end_do_not_count(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=12)
    long = evaluate_video(VideoAnnotation("Surfing/v", 24, (tube(1),)), tmp_path / "v.mp4", ENGINE, LABELS, "default")
    assert long.truth.frames.tolist() == list(range(4, 12))
    assert len(long.true_tubes[0].boxes) == 8
    short = evaluate_video(VideoAnnotation("Surfing/v", 6, (tube(1),)), tmp_path / "v.mp4", ENGINE, LABELS, "default")
    assert short.found.frames.tolist() == [4, 5]


def test_truth_of_a_part_of_a_video() -> None:
    tubes = (tube(0, range(2, 5)), tube(1, range(8, 9)))
    assert true_boxes(tubes, 4).frames.tolist() == [2, 3]
    assert true_boxes(tubes, 0).boxes.shape == (0, 4)
    assert [one.first_frame for one in true_tubes(tubes, 9)] == [2, 8]
