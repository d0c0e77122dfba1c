"""A person is one detection of the frame, wherever the seams of its tiles run, and nobody else is lost."""

import itertools
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import boxes as box_ops
from edge import tiles
from edge.detector import Detections
from edge.tile_merging import merge
from edge.tiles import Rectangle, Tiling

SIZE = (1280, 720)
HALVES = tiles.cut(SIZE, Tiling(columns=2))  # 0 to 712 and 568 to 1280
QUARTERS = tiles.cut(SIZE, Tiling(columns=2, rows=2))  # rows 0 to 400 and 320 to 720
Row = tuple[tuple[float, float, float, float], float, int]  # box in the frame, score, label


def in_tile(tile: Rectangle, rows: Sequence[Row]) -> Detections:
    """Detections of one tile, from boxes in the frame."""
    corner = np.array(tile[:2] * 2, np.float32)
    scores = np.array([score for _, score, _ in rows], np.float32)
    labels = np.array([label for _, _, label in rows], np.int64)
    class_scores = np.eye(3, dtype=np.float32)[labels] * scores[:, None]
    boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4) - corner
    return Detections(boxes, scores, labels, class_scores.reshape(-1, 3), invalid=1)


def merged(view: Sequence[Rectangle], *rows: Sequence[Row]) -> Detections:
    return merge([in_tile(tile, of_tile) for tile, of_tile in zip(view, rows, strict=True)], view)


def test_one_tile_keeps_what_it_found_in_the_frames_pixels() -> None:
    (region,) = tiles.cut(SIZE, Tiling((0.5, 0.25, 0.25, 0.5)))
    rows: list[Row] = [((700, 200, 720, 260), 0.9, 0), ((702, 202, 722, 262), 0.8, 0)]
    found = merge([in_tile(region, rows)], [region])
    np.testing.assert_array_equal(found.boxes, [box for box, _, _ in rows])
    assert found.invalid == 1


def test_a_person_whom_both_tiles_show_whole_is_one() -> None:
    found = merged(HALVES, [((600, 100, 660, 300), 0.7, 0)], [((602, 101, 661, 298), 0.9, 0)])
    assert len(found.scores) == 1
    assert found.scores[0] == np.float32(0.9)
    np.testing.assert_array_equal(found.boxes[0], (602, 101, 661, 298))
    assert found.invalid == 2


def test_two_actions_of_a_person_stay_two_detections() -> None:
    """As in a frame without tiles: the linker knows that they are one person."""
    found = merged(HALVES, [((600, 100, 660, 300), 0.7, 0)], [((602, 101, 661, 298), 0.9, 1)])
    assert found.labels.tolist() == [1, 0]


def test_a_part_is_dropped_for_the_whole_person() -> None:
    """The left tile shows 62 of 142 columns: IoU 0.44 is too little for non-maximum suppression."""
    part: Row = ((650, 100, 712, 300), 0.9, 0)
    whole: Row = ((650, 100, 792, 300), 0.8, 0)
    found = merged(HALVES, [part], [whole])
    np.testing.assert_array_equal(found.boxes, [whole[0]])


def test_a_part_that_looks_like_another_action_is_dropped_too() -> None:
    found = merged(HALVES, [((650, 100, 712, 300), 0.3, 2)], [((650, 100, 792, 300), 0.8, 0)])
    assert found.labels.tolist() == [0]


def test_a_part_stays_where_no_tile_shows_more() -> None:
    found = merged(HALVES, [((650, 100, 712, 300), 0.9, 0)], [((900, 100, 960, 300), 0.8, 0)])
    assert len(found.scores) == 2


def test_a_strong_part_is_not_dropped_for_noise() -> None:
    found = merged(HALVES, [((650, 100, 712, 300), 0.9, 0)], [((640, 100, 792, 300), 0.02, 0)])
    assert found.scores[0] == np.float32(0.9)


def test_two_parts_of_a_person_larger_than_the_overlap_are_joined() -> None:
    found = merged(HALVES, [((300, 100, 710, 600), 0.6, 0)], [((570, 110, 1000, 610), 0.8, 0)])
    np.testing.assert_array_equal(found.boxes, [(300, 100, 1000, 610)])
    assert found.scores[0] == np.float32(0.8)


def test_parts_at_one_seam_in_different_heights_are_two_people() -> None:
    found = merged(HALVES, [((400, 0, 712, 200), 0.6, 0)], [((568, 400, 900, 700), 0.8, 0)])
    assert len(found.scores) == 2


def test_a_person_in_the_middle_of_four_tiles_is_one() -> None:
    person = (400.0, 200.0, 900.0, 600.0)
    rows = [[(_inside(person, tile), 0.5 + place / 10, 0)] for place, tile in enumerate(QUARTERS)]
    found = merged(QUARTERS, *rows)
    np.testing.assert_array_equal(found.boxes, [person])
    assert found.scores[0] == np.float32(0.8)


def test_nothing_found_is_nothing() -> None:
    found = merged(QUARTERS, [], [], [], [])
    assert found.boxes.shape == (0, 4)
    assert found.class_scores.shape == (0, 3)


GRIDS = st.sampled_from([(2, 1), (1, 2), (2, 2), (3, 2), (4, 3)])


@st.composite
def persons(draw: st.DrawFn) -> list[tuple[float, float, float, float]]:
    """Up to five who stand apart, of any size that the frame has room for."""
    columns = draw(st.lists(st.tuples(st.integers(8, 240), st.integers(8, 700), st.floats(0, 1)), max_size=5))
    found = []
    for place, (width, height, fraction) in enumerate(columns):
        x, y = 4.0 + place * 256, float(round(fraction * (SIZE[1] - height)))
        found.append((x, y, x + width, y + height))
    return found


def _inside(person: tuple[float, float, float, float], tile: Rectangle) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = person
    return max(x1, tile[0]), max(y1, tile[1]), min(x2, tile[2]), min(y2, tile[3])


def _area(box: tuple[float, float, float, float]) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


@example([(4.0, 332.0, 12.0, 427.0)], (1, 2))  # begins 12 px below the lower tile's edge, as if cut by it
@example([(4.0, 260.0, 12.0, 491.0)], (4, 3))
@given(persons(), GRIDS)
def test_everybody_is_found_once(people: list[tuple[float, float, float, float]], grid: tuple[int, int]) -> None:
    """A perfect detector marks in each tile what it shows of everybody."""
    view = tiles.cut(SIZE, Tiling((0, 0, 1, 1), *grid))
    rows: list[list[Row]] = [
        [(_inside(person, tile), 0.9, 0) for person in people if _area(_inside(person, tile)) > 0] for tile in view
    ]
    found = merged(view, *rows)
    truth = np.array(people, np.float32).reshape(-1, 4)
    assert len(found.boxes) == len(people)
    assert (box_ops.iou(truth, found.boxes).max(axis=1, initial=0) > 0.999).all() or not people


@st.composite
def anything(draw: st.DrawFn) -> tuple[Sequence[Rectangle], list[list[Row]]]:
    view = tiles.cut(SIZE, Tiling((0, 0, 1, 1), *draw(GRIDS)))
    rows: list[list[Row]] = []
    for tile in view:
        of_tile: list[Row] = []
        for _ in range(draw(st.integers(0, 4))):
            x1, x2 = sorted(draw(st.lists(st.integers(tile[0], tile[2]), min_size=2, max_size=2, unique=True)))
            y1, y2 = sorted(draw(st.lists(st.integers(tile[1], tile[3]), min_size=2, max_size=2, unique=True)))
            of_tile.append(
                ((x1, y1, x2, y2), draw(st.integers(1, 128).map(lambda step: step / 128)), draw(st.integers(0, 2)))
            )
        rows.append(of_tile)
    return view, rows


@given(anything())
def test_what_is_in_no_conflict_is_unchanged(given_rows: tuple[Sequence[Rectangle], list[list[Row]]]) -> None:
    """A box that meets none of another tile is left as it is."""
    view, rows = given_rows
    found = merged(view, *rows)
    kept = {(*box.tolist(), float(score), int(label)) for box, score, label in zip(*_columns(found), strict=True)}
    for place, of_tile in enumerate(rows):
        others = [box for number, others in enumerate(rows) if number != place for box, _, _ in others]
        for box, score, label in of_tile:
            if not any(_meets(box, other) for other in others):
                assert (*map(float, box), score, label) in kept


@given(anything())
def test_the_result_is_sorted_and_within_the_frame(given_rows: tuple[Sequence[Rectangle], list[list[Row]]]) -> None:
    view, rows = given_rows
    found = merged(view, *rows)
    assert (np.diff(found.scores) <= 0).all()
    assert len(found.boxes) == len(found.scores) == len(found.labels) == len(found.class_scores)
    assert len(found.boxes) <= sum(map(len, rows))
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.array(SIZE * 2)).all()
    assert bool(len(found.boxes)) == any(rows)


def as_set(found: Detections) -> set[tuple[float, ...]]:
    return {(*box.tolist(), float(score), int(label)) for box, score, label in zip(*_columns(found), strict=True)}


def distinct(rows: list[list[Row]]) -> list[list[Row]]:
    """No two scores are equal, so that no order decides."""
    count = itertools.count()
    return [[(box, score - next(count) / 4096, label) for box, score, label in of_tile] for of_tile in rows]


@given(anything(), st.randoms(use_true_random=False))
def test_the_order_of_the_tiles_decides_nothing(
    given_rows: tuple[Sequence[Rectangle], list[list[Row]]], random: Random
) -> None:
    view, rows = given_rows[0], distinct(given_rows[1])
    order = list(range(len(view)))
    random.shuffle(order)
    other = merged([view[place] for place in order], *(rows[place] for place in order))
    assert as_set(merged(view, *rows)) == as_set(other)


@given(anything())
def test_a_mirrored_frame_gives_mirrored_detections(given_rows: tuple[Sequence[Rectangle], list[list[Row]]]) -> None:
    view, rows = given_rows[0], distinct(given_rows[1])

    def mirrored(box: tuple[float, ...]) -> Any:
        return SIZE[0] - box[2], box[1], SIZE[0] - box[0], box[3]

    other = merged(
        [mirrored(tile) for tile in view],
        *([(mirrored(box), score, label) for box, score, label in of_tile] for of_tile in rows),
    )
    expected = {(*mirrored(one[:4]), *one[4:]) for one in as_set(merged(view, *rows))}
    assert as_set(other) == expected


@given(anything())
def test_nothing_is_made_up(given_rows: tuple[Sequence[Rectangle], list[list[Row]]]) -> None:
    """Scores and actions are those of boxes that were found, of which a result holds at least one whole."""
    view, rows = given_rows
    every = [one for of_tile in rows for one in of_tile]
    for box, score, label in zip(*_columns(merged(view, *rows)), strict=True):
        assert any((float(score), int(label)) == one[1:] and _holds(box.tolist(), one[0]) for one in every)


def _holds(box: Sequence[float], other: Sequence[float]) -> bool:
    return box[0] <= other[0] and box[1] <= other[1] and box[2] >= other[2] and box[3] >= other[3]


def _columns(found: Detections) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    return found.boxes, found.scores, found.labels


def _meets(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


@pytest.mark.parametrize("many", [100])
def test_many_boxes_at_the_seams_come_to_an_end(many: int) -> None:
    random = np.random.default_rng(0)
    rows: list[list[Row]] = []
    for tile in QUARTERS:
        corners = random.uniform((tile[0], tile[1]), (tile[2], tile[3]), (many, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        rows.append([((b[0], b[1], b[2], b[3]), float(random.uniform(0.01, 1)), 0) for b in boxes.tolist()])
    found = merged(QUARTERS, *rows)
    assert 0 < len(found.scores) < 4 * many
