"""Laws of the tiles of a frame, and what is said of settings that give none."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import tiles
from edge.tiles import MOST_OVERLAP, MOST_TILES, Tiling

SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
SHARE = st.integers(0, 99)
TILE_NUMBER = st.integers(1, MOST_TILES)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    x, y = draw(SHARE), draw(SHARE)
    width, height = draw(st.integers(1, 100 - x)), draw(st.integers(1, 100 - y))
    overlap = draw(st.floats(0, MOST_OVERLAP))
    region = tiles.check_region([x / 100, y / 100, width / 100, height / 100])
    return Tiling(region, draw(TILE_NUMBER), draw(TILE_NUMBER), overlap)


def test_a_frame_without_settings_is_one_tile() -> None:
    assert tiles.cut((1920, 1080), Tiling()) == ((0, 0, 1920, 1080),)
    assert Tiling().is_whole


def test_halves_share_a_fifth_of_their_width() -> None:
    """1280 = 2 t - 0.2 t, so t is 711.1, rounded up; they share 2 * 712 - 1280 = 144 pixels, 0.2 of 712."""
    assert tiles.cut((1280, 720), Tiling(columns=2)) == ((0, 0, 712, 720), (568, 0, 1280, 720))


def test_tiles_come_row_by_row() -> None:
    found = tiles.cut((100, 100), Tiling((0, 0, 1, 1), 2, 2, 0.0))
    assert found == ((0, 0, 50, 50), (50, 0, 100, 50), (0, 50, 50, 100), (50, 50, 100, 100))


@given(SIZES, tilings())
def test_tiles_are_of_one_size_and_cover_the_region(size: tuple[int, int], tiling: Tiling) -> None:
    found = tiles.cut(size, tiling)
    assert len(found) == tiling.count
    assert len({(right - left, bottom - top) for left, top, right, bottom in found}) == 1
    left, top, right, bottom = tiles.bounds(found)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    for first, last, begin, end in ((0, 2, left, right), (1, 3, top, bottom)):
        spans = sorted({(tile[first], tile[last]) for tile in found})
        assert spans[0][0] == begin
        assert spans[-1][1] == end
        assert all(after[0] <= before[1] for before, after in itertools.pairwise(spans))
    x, y, width, height = tiling.region
    assert abs(left - x * size[0]) <= 1.5
    assert abs(top - y * size[1]) <= 1.5
    assert abs(right - (x + width) * size[0]) <= 1.5
    assert abs(bottom - (y + height) * size[1]) <= 1.5


@given(SIZES, tilings(), st.data())
def test_whoever_is_narrower_than_the_overlap_is_whole_in_a_tile(
    size: tuple[int, int], tiling: Tiling, data: st.DataObject
) -> None:
    found = tiles.cut(size, tiling)
    left, top, right, bottom = tiles.bounds(found)
    widest = _least_common(sorted({(tile[0], tile[2]) for tile in found}))
    highest = _least_common(sorted({(tile[1], tile[3]) for tile in found}))
    width, height = data.draw(st.integers(0, widest)), data.draw(st.integers(0, highest))
    x, y = data.draw(st.integers(left, right - width)), data.draw(st.integers(top, bottom - height))
    assert any(t[0] <= x and t[1] <= y and x + width <= t[2] and y + height <= t[3] for t in found)


@given(SIZES, tilings())
def test_neighbours_share_at_least_the_configured_part(size: tuple[int, int], tiling: Tiling) -> None:
    """Up to the rounding to whole pixels."""
    found = tiles.cut(size, tiling)
    for first, last in ((0, 2), (1, 3)):
        spans = sorted({(tile[first], tile[last]) for tile in found})
        assert _least_common(spans) >= min(tiling.overlap * (spans[0][1] - spans[0][0]) - 2, spans[0][1] - spans[0][0])


def _least_common(spans: list[tuple[int, int]]) -> int:
    """The least that two neighbours have in common; the whole side where there is one."""
    if len(spans) == 1:
        return spans[0][1] - spans[0][0]
    return min(before[1] - after[0] for before, after in itertools.pairwise(spans))


def test_a_crop_is_a_view_of_the_frame() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    part = tiles.crop(image, (1, 2, 5, 4))
    assert np.shares_memory(part, image)
    np.testing.assert_array_equal(part, image[2:4, 1:5])


def test_a_tile_is_scaled_with_its_frame() -> None:
    assert tiles.scaled((320, 0, 640, 360), (640, 360), (64, 36)) == (32, 0, 64, 36)
    assert tiles.scaled((639, 0, 640, 1), (640, 360), (4, 4)) == (3, 0, 4, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2x1", (2, 1)), ("2X1", (2, 1)), ("2×1", (2, 1)), (" 2 x 1 ", (2, 1)), ("8*8", (8, 8)), ("1x1", (1, 1))],
)
def test_a_grid_is_columns_by_rows(text: str, expected: tuple[int, int]) -> None:
    assert tiles.parse_grid(text) == expected


@pytest.mark.parametrize("text", ["", "2", "2x", "x2", "0x1", "2x0", "9x1", "-1x2", "2x1x1", "two", "1.5x2", "99999x1"])
def test_a_grid_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        tiles.parse_grid(text)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ([0.0, 0.0, 0.0, 1.0], "no area"),
        ([0.0, 0.0, 1.0, 0.0], "no area"),
        ([0.5, 0.0, 0.6, 1.0], "ends at 1.1, beyond the right edge"),
        ([0.0, 0.5, 1.0, 0.6], "ends at 1.1, beyond the lower edge"),
        ([100.0, 0.0, 0.5, 1.0], "divide pixels"),
        ([-0.1, 0.0, 0.5, 1.0], "from 0 to 1"),
        ([float("nan"), 0.0, 0.5, 1.0], "from 0 to 1"),
    ],
)
def test_a_region_outside_the_frame_is_refused(region: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tiles.check_region(region)


def test_decimals_may_miss_the_edge_by_their_rounding() -> None:
    x, _, width, _ = tiles.check_region([0.7, 0.0, 0.3000000001, 1.0])
    assert x + width <= 1


def test_halves_of_a_wide_picture_are_seen_larger() -> None:
    """Whole: 288 / 1280 = 0.225; a half of 712x720: min(288 / 712, 224 / 720) = 0.311."""
    assert tiles.enlargement((1280, 720), Tiling(columns=2), (288, 224)) == pytest.approx(0.3111 / 0.225, abs=1e-3)
    assert tiles.enlargement((1280, 720), Tiling(), (288, 224)) == 1


@pytest.mark.parametrize(
    ("size", "tiling", "said"),
    [
        ((640, 480), Tiling((0, 0, 0.01, 1)), "6x480 at a time, of which 3 pixels are left"),  # 6 * 224 / 480 = 2.8
        ((1920, 1080), Tiling((0, 0, 1, 0.02)), "1920x22 at a time, of which 3 pixels"),  # 22 * 288 / 1920 = 3.3
        ((16, 16), Tiling((0, 0, 1, 1), 8, 8), "give fewer, or a larger region"),
    ],
)
def test_what_is_too_small_for_the_motion_map_is_said(size: tuple[int, int], tiling: Tiling, said: str) -> None:
    assert said in str(tiles.too_small(size, tiling, (288, 224)))


def test_a_frame_of_any_size_without_settings_is_no_problem() -> None:
    assert tiles.too_small((1, 1), Tiling(), (288, 224)) is None
    assert tiles.too_small((640, 480), Tiling((0.25, 0.25, 0.5, 0.5), 2, 2), (288, 224)) is None


def test_more_tiles_than_the_network_takes_are_said() -> None:
    assert tiles.several_calls(Tiling(columns=2), 2) is None
    said = str(tiles.several_calls(Tiling(columns=3, rows=2), 4))
    assert "its 6 tiles take 2 calls" in said
    assert "max_batch = 6" in said
