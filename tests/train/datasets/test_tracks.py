"""From boxes of tracks to tubes, and how little a small file may come to."""

import json
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets.annotated_frames import AnnotatedFrames
from train.datasets.annotation_records import AnnotationError
from train.datasets.coco import read_coco
from train.datasets.cvat import read_cvat
from train.datasets.tracks import Box, BoxBudget, NamedVideo, tubes_from_keyframes, tubes_from_samples

MEBIBYTE = 1 << 20


def least(tracks: int) -> str:
    """A CVAT file of a minute's work: tracks of two boxes each, a million frames from one another."""
    boxes = "".join(f'<box frame="{frame}" xtl="0" ytl="0" xbr="9" ybr="9"/>' for frame in (0, 999_999))
    track = f'<track label="a">{boxes}</track>'
    return f"<annotations>{track * tracks}</annotations>"


def taken(call: Callable[[], object]) -> int:
    """The most memory that it took, bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_two_boxes_of_cvat_may_mean_many_but_not_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(least(1))
    assert path.stat().st_size < 200
    found: list[NamedVideo] = []
    assert taken(lambda: found.append(read_cvat(path))) < 128 * MEBIBYTE
    assert [len(one.tube.boxes) for one in found[0].tubes] == [1_000_000]
    path.write_text(least(3))
    with pytest.raises(AnnotationError, match="its tracks expand to more than 2,000,000 boxes: annotate shorter parts"):
        read_cvat(path)


def test_two_boxes_of_coco_do_not_either(tmp_path: Path) -> None:
    """In all its videos together."""

    def written(videos: int) -> Path:
        images = [
            {"id": 2 * number + late, "video_id": number, "frame_id": 999_999 * late}
            for number in range(videos)
            for late in (0, 1)
        ]
        boxes = [{"image_id": n, "category_id": 0, "track_id": 0, "bbox": [0, 0, 9, 9]} for n in range(2 * videos)]
        content = {
            "videos": [{"id": number, "name": f"{number}"} for number in range(videos)],
            "images": images,
            "categories": [{"id": 0, "name": "a"}],
            "annotations": [{"id": number, **one} for number, one in enumerate(boxes)],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        return tmp_path / "a.json"

    assert taken(lambda: read_coco(written(1))) < 128 * MEBIBYTE
    with pytest.raises(AnnotationError, match="expand to more than 2,000,000 boxes"):
        read_coco(written(3))


def test_jobs_that_overlap_take_no_more_than_one(tmp_path: Path) -> None:
    meta = "<meta><task><size>1000000</size><segments>"
    meta += "<segment><start>0</start><stop>999000</stop></segment>" * 2000
    (tmp_path / "a.xml").write_text(f"<annotations>{meta}</segments></task></meta></annotations>")
    found: list[NamedVideo] = []
    assert taken(lambda: found.append(read_cvat(tmp_path / "a.xml"))) < 128 * MEBIBYTE
    assert found[0].annotated_frames is not None
    assert (len(found[0].annotated_frames), found[0].annotated_frames[-1]) == (999_001, 999_000)


def test_tags_within_tags_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotations><meta>" + "<deep>" * 300_000)
    with pytest.raises(AnnotationError, match="its tags are nested more than 32 deep"):
        read_cvat(tmp_path / "a.xml")


def plainly(track: list[Box]) -> list[tuple[str, int, list[float]]]:
    """Frame by frame, as its docstring says it: label, first frame, left sides."""
    shown: dict[int, tuple[str, float]] = {}
    for one, two in pairwise([*track, track[-1]]):
        for frame in range(one.frame, max(two.frame, one.frame + 1)):
            share = (frame - one.frame) / max(two.frame - one.frame, 1)
            if not one.outside and one.label is not None:
                shown[frame] = one.label, one.corners[0] + share * (two.corners[0] - one.corners[0])
    tubes: list[tuple[str, int, list[float]]] = []
    for frame, (label, left) in sorted(shown.items()):
        if tubes and tubes[-1][0] == label and tubes[-1][1] + len(tubes[-1][2]) == frame:
            tubes[-1][2].append(left)
        else:
            tubes.append((label, frame, [left]))
    return tubes


boxes = st.builds(
    lambda frame, left, label, outside: Box(frame, (left, 0.0, left + 5, 9.0), label, outside),
    st.integers(0, 40),
    st.integers(0, 100).map(float),
    st.sampled_from(["a", "b", None]),
    st.booleans(),
)


@given(st.lists(boxes, min_size=1, max_size=8, unique_by=lambda box: box.frame))
def test_tubes_equal_the_boxes_of_each_frame(given_: list[Box]) -> None:
    track = sorted(given_, key=lambda box: box.frame)
    expected = plainly(track)
    budget = BoxBudget()
    found = tubes_from_keyframes([track], budget)
    assert [(one.label, one.tube.first_frame) for one in found] == [(label, first) for label, first, _ in expected]
    for one, (_, _, lefts) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.tube.boxes[:, 0], lefts, rtol=1e-6)
        np.testing.assert_allclose(one.tube.boxes[:, 2] - one.tube.boxes[:, 0], 5, rtol=1e-5)
    assert BoxBudget().boxes - budget.boxes == sum(len(lefts) for _, _, lefts in expected)


def test_without_unannotated_frames_between_boxes_stand_for_themselves() -> None:
    track = [Box(0, (0, 0, 9, 9), "a"), Box(4, (8, 0, 17, 9), "a"), Box(8, (8, 0, 17, 9), "a")]

    def spans(annotated: AnnotatedFrames) -> list[tuple[int, int]]:
        return [
            (one.tube.first_frame, len(one.tube.boxes)) for one in tubes_from_samples([track], annotated, BoxBudget())
        ]

    assert spans(None) == [(0, 1), (4, 1), (8, 1)]
    assert spans(np.array([0, 4, 8])) == [(0, 9)]
    assert spans(np.array([0, 4, 6, 8])) == [(0, 5), (8, 1)]
