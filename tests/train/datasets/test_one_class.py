"""All actions as one class: whose boxes remain, and which frames say that nobody is there."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.datasets.one_class import merged


def tube(label: int, first: int, count: int) -> GroundTruthTube:
    return GroundTruthTube(label, first, np.tile(np.array([1, 2, 30, 60], np.float32), (count, 1)))


def frames(video: VideoAnnotation) -> list[int]:
    assert video.annotated_frames is not None
    return video.annotated_frames.tolist()


def test_boxes_of_all_actions_are_of_one_and_no_frame_without_one_counts() -> None:
    busy = VideoAnnotation("a", 20, (tube(1, 3, 2), tube(0, 4, 3), tube(1, 10, 1)))
    part = replace(busy, name="b", annotated_frames=np.array([0, 4, 10, 12]))
    quiet = VideoAnnotation("street", 30, (), quiet=True)
    idle = VideoAnnotation("idle", 30, ())
    data = merged(DataSet(("fall", "climb"), (busy, part), (quiet, idle), Path("videos")), "person")
    assert data.labels == ("person",)
    assert {one.label for video in data.train for one in video.tubes} == {0}
    assert [frames(video) for video in data.train] == [[3, 4, 5, 6, 10], [4, 10]]
    assert data.test[0] is not None
    assert data.test[0].annotated_frames is None  # all frames of a quiet video show nobody
    assert frames(data.test[1]) == []


def test_quiet_videos_alone_have_no_label() -> None:
    data = merged(DataSet((), (VideoAnnotation("street", 0, (), quiet=True),), (), Path("videos")), "person")
    assert data.labels == ()
