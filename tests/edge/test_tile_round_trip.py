"""What stands somewhere in a frame is found there, whichever tile shows it: fitted, detected, and back to the frame."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge import detector, letterbox, pipeline, tile_merging, tiles
from edge.detector import Detections
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from edge.tiles import MOST_TILES, Rectangle, Tiling
from tests.support.annotated_player import outputs, sees_bright_things

LABELS = ("Basketball", "Surfing")
INPUT_SIZE = (96, 64)  # of the network that finds what is bright
LEAST_SHOWN = 7  # pixels of the input: of less, a box that is off by one at each side is not seen to be a part
Box = tuple[float, float, float, float]


def manifest(width: int, height: int) -> Manifest:
    return Manifest("any", LABELS, height, width, MotionSettings("none"), top_k=1)


@st.composite
def boxes_in_tiles(draw: st.DrawFn) -> tuple[tuple[Rectangle, ...], int, Box]:
    """A frame's tiles, the number of one of them and a box in that, whose sides may lie on the tile's."""
    size = draw(st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
    region = [draw(st.sampled_from((0.0, 0.25, 0.5))), draw(st.sampled_from((0.0, 0.25, 0.5))), 0.5, 0.5]
    grid = draw(st.integers(1, MOST_TILES)), draw(st.integers(1, MOST_TILES))
    view = tiles.cut(size, Tiling(tiles.check_region(region), *grid, draw(st.floats(0, tiles.MOST_OVERLAP))))
    number = draw(st.integers(0, len(view) - 1))
    left, top, right, bottom = view[number]
    x1, y1 = draw(st.integers(left, right - 1)), draw(st.integers(top, bottom - 1))
    return view, number, (x1, y1, draw(st.integers(x1 + 1, right)), draw(st.integers(y1 + 1, bottom)))


@example((((0, 0, 1920, 1080),), 0, (0, 0, 1920, 1080)), (288, 224))
@example((((0, 0, 4000, 3),), 0, (0, 0, 1, 1)), (288, 224))
@given(boxes_in_tiles(), st.sampled_from([(288, 224), (64, 64), (224, 288)]))
def test_a_box_comes_back_from_every_tile(
    drawn: tuple[tuple[Rectangle, ...], int, Box], input_size: tuple[int, int]
) -> None:
    """Into the input of its tile and back: the very box, to a hundredth of a pixel."""
    view, number, box = drawn
    left, top, right, bottom = view[number]
    of_tile = np.array([box], np.float32) - np.array([left, top, left, top], np.float32)
    size = right - left, bottom - top
    seen = letterbox.transform(of_tile, letterbox.affine(size, input_size))
    answers = outputs(tuple(seen[0].tolist()), (0.0, 0.9))
    found = [
        detector.detections(answers, size, manifest(*input_size), 0.1) if place == number else nothing()
        for place in range(len(view))
    ]
    merged = tile_merging.merge(found, view)
    np.testing.assert_allclose(merged.boxes, [box], atol=0.01)
    assert merged.labels.tolist() == [1]
    assert merged.scores.tolist() == [np.float32(0.9)]


def nothing() -> Detections:
    """In a tile where nobody is."""
    none = np.zeros(0, np.float32)
    return Detections(np.zeros((0, 4), np.float32), none, np.zeros(0, np.int64), np.zeros((0, len(LABELS)), np.float32))


@st.composite
def pictures(draw: st.DrawFn) -> tuple[tuple[int, int], Tiling, tuple[int, int, int, int]]:
    """A frame's size, a tiling of all of it, and somebody who is no larger than what tiles have in common."""
    size = draw(st.integers(96, 400)), draw(st.integers(96, 300))
    tiling = Tiling((0.0, 0.0, 1.0, 1.0), draw(st.integers(1, 3)), draw(st.integers(1, 3)), 0.4)
    left, top, right, bottom = tiles.cut(size, tiling)[0]
    width = draw(st.integers(10, max(10, int(0.35 * (right - left)))))
    height = draw(st.integers(10, max(10, int(0.35 * (bottom - top)))))
    x, y = draw(st.integers(0, size[0] - width)), draw(st.integers(0, size[1] - height))
    somebody = (x, y, x + width, y + height)
    assume(not any(shows_an_edge(tile, somebody) for tile in tiles.cut(size, tiling)))
    return size, tiling, somebody


def shows_an_edge(tile: Rectangle, somebody: tuple[int, int, int, int]) -> bool:
    """Whether a tile shows less of him than boxes, which are right to a pixel of the input, can tell from nothing."""
    shown = np.minimum(tile, somebody)[2:] - np.maximum(tile, somebody)[:2]
    whole = np.array(somebody)[2:] - np.array(somebody)[:2]
    return bool((shown > 0).all() and ((shown < whole) & (shown < LEAST_SHOWN * pixel_of(tile))).any())


def pixel_of(tile: Rectangle) -> float:
    """How much of the frame a pixel of the network's input is, in pixels."""
    left, top, right, bottom = tile
    return max(1.0, (right - left) / INPUT_SIZE[0], (bottom - top) / INPUT_SIZE[1])


@example(((320, 240), Tiling(columns=2, rows=2, overlap=0.4), (0, 0, 40, 40)))  # in a corner of the frame
@example(((320, 240), Tiling(columns=2, rows=2, overlap=0.4), (280, 200, 320, 240)))
@example(((320, 240), Tiling(columns=2, rows=2, overlap=0.4), (140, 100, 180, 140)))  # whole in four tiles
@given(pictures())
def test_whoever_is_drawn_is_found_once_where_he_stands(
    drawn: tuple[tuple[int, int], Tiling, tuple[int, int, int, int]],
) -> None:
    """A network that marks what is bright, through the whole pipeline; to what one pixel of its input shows."""
    size, tiling, (x1, y1, x2, y2) = drawn
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    engine = Engine(sees_bright_things, manifest(*INPUT_SIZE), "0" * 64, "a plain function")
    frame, state = Frame("door", 0, 0.0, 0.0, image), pipeline.initial("door", "seed")
    _, result = pipeline.step(state, frame, engine, PipelineSettings(minimum_score=0.1, tiling=tiling))
    assert len(result.detections.boxes) == 1
    pixel = pixel_of(tiles.cut(size, tiling)[0])
    assert result.detections.boxes[0] == pytest.approx((x1, y1, x2, y2), abs=1.5 * pixel)
