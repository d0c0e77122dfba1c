"""Whether a file is truncated, and its orientation, by its own elements."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.container import Orientation, bytes_missing, orientation
from edge.cameras.image_transform import flipped, rotated
from tests.support.video_files import (
    MATRICES,
    UNTURNED,
    corners,
    jpegs,
    moved,
    shades,
    write_matroska,
    write_mp4,
    write_video,
)

Matrix = tuple[int, int, int, int]
FRAMES = jpegs(shades(10))


def matroska(path: Path) -> Path:
    return write_matroska(path, FRAMES, [i / 25 for i in range(10)], seconds=99)


def mp4(path: Path) -> Path:
    return write_mp4(path, FRAMES, [40] * 10, hidden=5)


def avi(path: Path) -> Path:
    return write_video(path.with_suffix(".avi"), "MJPG", frames=10)


def h264_or_mpeg4(path: Path) -> Path:
    return write_video(path.with_suffix(".mp4"), "mp4v", frames=10)


@pytest.mark.parametrize("write", [matroska, mp4, avi, h264_or_mpeg4])
@pytest.mark.parametrize("missing", [0, 1, 300])
def test_what_is_missing_is_counted(tmp_path: Path, write: Callable[[Path], Path], missing: int) -> None:
    path = write(tmp_path / "clip")
    os.truncate(path, path.stat().st_size - missing)
    assert bytes_missing(path) == missing


@pytest.mark.parametrize("write", [matroska, mp4, avi])
def test_appended_bytes_are_no_loss(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path / "clip")
    with path.open("ab") as file:
        file.write(b"<?xpacket end?>" * 9)
    assert bytes_missing(path) == 0


def unfinished_avi(content: bytes) -> bytes:
    return content[:4] + b"\xff" * 4 + content[8:]


def live_matroska(content: bytes) -> bytes:
    at = content.index(b"\x18\x53\x80\x67") + 4
    return content[:at] + b"\x01" + b"\xff" * 7 + content[at + 8 :]


def mp4_to_the_end(content: bytes) -> bytes:
    at = content.index(b"mdat") - 4
    return content[:at] + bytes(4) + content[at + 4 :]


@pytest.mark.parametrize(("write", "change"), [(avi, unfinished_avi), (matroska, live_matroska), (mp4, mp4_to_the_end)])
def test_an_unknown_length_is_none(
    tmp_path: Path, write: Callable[[Path], Path], change: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "clip")
    path.write_bytes(change(path.read_bytes())[:-50])
    assert bytes_missing(path) == 0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00", b"G" * 1000])
def test_a_container_without_sizes_lacks_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip").write_bytes(content)
    assert bytes_missing(tmp_path / "clip") == 0


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("scale", [1, 3])
def test_every_display_matrix_is_a_flip_and_a_rotation(tmp_path: Path, matrix: Matrix, scale: int) -> None:
    a, b, c, d = (scale * value for value in matrix)
    asked = orientation(write_mp4(tmp_path / "clip.mp4", FRAMES, [40] * 10, matrix=(a, b, c, d)))
    image = corners()
    np.testing.assert_array_equal(rotated(flipped(image, asked.flip), asked.rotation), moved(image, matrix))
    assert (asked == Orientation()) == (matrix == UNTURNED)


def test_a_matrix_of_another_angle_or_of_nothing_turns_nothing(tmp_path: Path) -> None:
    for matrix in [(5, 5, -5, 5), (0, 0, 0, 0)]:
        assert orientation(write_mp4(tmp_path / "clip.mp4", FRAMES, [40] * 10, matrix=matrix)) == Orientation()


@pytest.mark.parametrize(("roll", "rotation"), [(0, 0), (90, 270), (-90, 90), (180, 180), (-180, 180), (45, 0)])
def test_matroska_counts_the_other_way_round(tmp_path: Path, roll: float, rotation: int) -> None:
    path = write_matroska(tmp_path / "clip.mkv", FRAMES, [i / 25 for i in range(10)], roll=roll)
    assert orientation(path) == Orientation("none", rotation)  # type: ignore[arg-type]


@pytest.mark.parametrize("write", [matroska, mp4, avi])
@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=9)), min_size=1, max_size=5))
def test_any_file_is_read_to_an_end(
    tmp_path_factory: pytest.TempPathFactory, write: Callable[[Path], Path], places: list[tuple[int, bytes]]
) -> None:
    path = write(tmp_path_factory.mktemp("law") / "clip")
    content = bytearray(path.read_bytes())
    for place, others in places:
        at = place % len(content)
        content[at : at + len(others)] = others
    path.write_bytes(content)
    assert bytes_missing(path) >= 0
    assert isinstance(orientation(path), Orientation)
