"""The daemon and evaluation link the same detections into the same action tubes, whichever linker is chosen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.config.schema import Config
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from edge.service.settings import pipeline_settings
from edge.tubes import TubeBox
from tests.support.annotated_player import FRAMES, HEIGHT, LABELS, WIDTH, write_video
from train.box_tables import Tube
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation.detection import DetectionTask, detect_video, joined
from train.evaluation.linking import LINKING_METHODS, link
from train.evaluation.video_evaluation import LinkerKind, evaluate_video

PEOPLE = 9
VIDEO = VideoAnnotation("v", 0, ())
Row = tuple[int, int, list[list[float]], float]


class Crowd:
    """People who walk on, frame after frame, a third of them with scores that only KORSAL's rule takes."""

    def __init__(self) -> None:
        self.frame = 0

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        random = np.random.default_rng(self.frame)
        corner = np.stack([np.arange(PEOPLE) * 7 + self.frame / 4, np.full(PEOPLE, 10.0)], axis=1)
        boxes = np.hstack([corner, corner + np.array([6, 30])]) + random.normal(0, 0.2, (PEOPLE, 4))
        scores = np.where(np.arange(PEOPLE) % 3, 0.5, 0.003) * random.uniform(0.8, 1.2, PEOPLE)
        dense = np.stack([scores, scores / 3], axis=1)
        order = np.argsort(-scores)
        self.frame += 1
        return {
            "boxes": boxes[None, order].astype(np.float32),
            "scores": scores[None, order].astype(np.float32),
            "labels": np.zeros((1, PEOPLE), np.int64),
            "class_scores": dense[None, order].astype(np.float32),
        }


def engine() -> Engine:
    manifest = Manifest("tiny", LABELS, HEIGHT, WIDTH, MotionSettings("none"), top_k=PEOPLE)
    return Engine(Crowd(), manifest, "0" * 64, "a function")


def daemon_tubes(kind: LinkerKind, video: Path) -> list[Row]:
    """By the pipeline that the daemon builds from its configuration."""
    config = Config.model_validate({"cameras": {"door": {"source": "/dev/video0"}}, "linker": {"kind": kind}})
    settings, crowd = pipeline_settings(config, "door"), engine()
    state = pipeline.initial("door", "seed")
    history: list[tuple[int, TubeBox]] = []
    for frame in read_file(video, "door"):
        state, step = pipeline.step(state, frame, crowd, settings)
        history += [(frame.index, tube_box) for tube_box in step.tube_boxes]
    found = LINKING_METHODS[kind].action_tubes(history)
    return rows(Tube(0, tube.label, tube.score, int(tube.frames[0]), tube.boxes) for tube in found)


def rows(tubes: Any) -> list[Row]:
    return sorted((tube.label, tube.first_frame, np.clip(tube.boxes, 0, 96).tolist(), tube.score) for tube in tubes)


@pytest.mark.parametrize("kind", ["default", "korsal"])
def test_the_daemon_and_evaluation_make_the_same_action_tubes(kind: LinkerKind, tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    write_video(video)
    expected = daemon_tubes(kind, video)
    assert len(expected) == {"default": 2 * PEOPLE * 2 // 3, "korsal": PEOPLE}[kind]  # the default: of both actions
    assert all(len(boxes) == FRAMES for _, _, boxes, _ in expected)
    assert rows(evaluate_video(VIDEO, video, engine(), LABELS, kind).tubes) == expected
    method = LINKING_METHODS[kind]
    detected = detect_video(engine(), DetectionTask(VIDEO, video, method.linker.minimum_score))
    saved = link(joined(["v"], LABELS, [detected]), method)
    assert rows(one.tube for one in saved.tubes) == expected


def test_frame_map_counts_no_detection_that_only_a_linker_needs(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    write_video(video)
    default, korsal = (evaluate_video(VIDEO, video, engine(), LABELS, kind).found for kind in ("default", "korsal"))
    assert len(korsal.scores) == len(default.scores) == FRAMES * PEOPLE * 2 // 3
