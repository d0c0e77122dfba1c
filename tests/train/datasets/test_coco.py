"""COCO-style JSON that does not fit together is refused, with the entry and its field."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.annotation_files import coco, spans
from tests.support.coco_files import content
from train.datasets.annotation_records import AnnotationError
from train.datasets.coco import read_coco


def refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_coco(coco(tmp_path, changed))
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_videos_of_which_only_some_frames_are_listed(tmp_path: Path) -> None:
    labels, (one, two) = read_coco(coco(tmp_path, content()))
    assert labels == ("run", "jump")
    assert (one.name, one.frames, spans(one)) == ("v0", 6, [("run", 4, 1)])
    assert (two.name, two.frames, spans(two)) == ("v1", 32, [("run", 31, 1)])


@pytest.mark.parametrize(
    ("section", "place", "field", "value", "message"),
    [
        ("annotations", 0, "image_id", 77, "annotation 3: image_id 77 is no image"),
        ("annotations", 1, "category_id", 77, "annotation 8: category_id 77 is no category"),
        ("annotations", 1, "image_id", "4", "annotation 8: '4' is no whole number"),
        ("annotations", 1, "bbox", [1, 2, 3], "annotation 8: bbox is not the 4 numbers x, y, width, height"),
        ("annotations", 1, "bbox", 7, "annotation 8: object of type 'int' has no len"),
        ("annotations", 1, "track_id", None, "annotation 8: None is no whole number"),
        ("images", 2, "video_id", 77, "image 2: video_id 77 is no video"),
        ("images", 2, "id", 1, "image 1: two image entries have this id"),
        ("images", 2, "frame_id", 1, "image 2: another image of video 1 has frame_id 1 too"),
        ("images", 2, "frame_id", -1, "image 2: frame -1 is no frame"),
        ("videos", 1, "id", 1, "video 1: two video entries have this id"),
        ("categories", 1, "id", 5, "category 5: two category entries have this id"),
        ("categories", 1, "name", "run", "two categories are named run"),
    ],
)
def test_inconsistent_entries_are_named(
    section: str, place: int, field: str, value: Any, message: str, tmp_path: Path
) -> None:
    changed = deepcopy(content())
    changed[section][place][field] = value
    refused(tmp_path, changed, message)


@pytest.mark.parametrize(
    ("section", "place", "field", "message"),
    [
        ("annotations", 0, "track_id", "annotation 3: no track_id, nor instance_id"),
        ("annotations", 0, "bbox", "annotation 3: no 'bbox'"),
        ("images", 3, "frame_id", "image 3: no 'frame_id'"),
        ("images", 3, "id", "image at place 3: no 'id'"),
    ],
)
def test_missing_keys_of_an_entry_are_reported(
    section: str, place: int, field: str, message: str, tmp_path: Path
) -> None:
    changed = content()
    del changed[section][place][field]
    refused(tmp_path, changed, message)


def test_frames_that_are_counted_from_1(tmp_path: Path) -> None:
    changed = content()
    for image in changed["images"]:
        image["frame_id"] += 1
    refused(tmp_path, changed, "video 1: frame_id begins at 1: count from 0, or list the image of frame 0 too")
    changed["images"].append({"id": 99, "video_id": 1, "frame_id": 0})
    assert read_coco(coco(tmp_path, changed))[1][0].frames == 7
