"""Whether a file is cut short is told by its outermost elements, not by what it says of its frames."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.video.container import bytes_missing
from tests.films import jpegs, shades, write_matroska, write_mp4
from tests.live_cameras import write_video

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
def test_what_is_appended_is_nobodys_loss(tmp_path: Path, write: Callable[[Path], Path]) -> None:
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
def test_a_length_that_is_not_known_is_none(
    tmp_path: Path, write: Callable[[Path], Path], change: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "clip")
    path.write_bytes(change(path.read_bytes())[:-50])
    assert bytes_missing(path) == 0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00", b"G" * 1000])
def test_what_gives_no_account_lacks_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip").write_bytes(content)
    assert bytes_missing(tmp_path / "clip") == 0
