"""Clips in pieces: all of their bytes, in bounded answers, and nothing else of the device."""

import base64
from pathlib import Path

import pytest

from edge.broker.requests import RequestError
from edge.history import teaching_pieces
from edge.history.teaching_pieces import LARGEST_PIECE, MOST_LISTED

NAME = "doubt-door-1000-5-0-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / f"{NAME}.mp4").write_bytes(bytes(range(256)) * 400)
    (tmp_path / f"{NAME}.json").write_text('{"reason": "score"}')
    (tmp_path / "secret.mp4").write_bytes(b"not a clip")
    return tmp_path


def test_a_clip_in_pieces_is_the_clip(folder: Path) -> None:
    content, first = b"", True
    while first or len(content) < 102_400:
        piece = teaching_pieces.piece(folder, NAME, len(content), 10**9)
        content += base64.b64decode(str(piece["content"]))
        assert piece["bytes"] == 102_400
        assert piece.get("facts") == ({"reason": "score"} if first else None)
        assert len(str(piece["content"])) <= 4 * LARGEST_PIECE // 3
        first = False
    assert content == (folder / f"{NAME}.mp4").read_bytes()
    assert teaching_pieces.piece(folder, NAME, 10**12, 5)["content"] == ""


def test_many_clips_are_listed_in_parts(folder: Path) -> None:
    for number in range(MOST_LISTED):
        (folder / f"doubt-yard-{number:04}-0-0-0.mp4").write_bytes(b"12")
    one = teaching_pieces.listed(folder, "")
    assert isinstance(one["clips"], list)
    assert (len(one["clips"]), one["more"]) == (MOST_LISTED, True)
    assert one["clips"][0] == {"name": NAME, "bytes": 102_400}
    two = teaching_pieces.listed(folder, one["clips"][-1]["name"])
    assert two == {"clips": [{"name": f"doubt-yard-{MOST_LISTED - 1:04}-0-0-0", "bytes": 2}], "more": False}
    assert teaching_pieces.listed(folder / "none", "") == {"clips": [], "more": False}
    (folder / "doubt-a-gone.mp4").symlink_to(folder / "deleted meanwhile")
    assert teaching_pieces.listed(folder, "doubt-a")["clips"] == one["clips"][:-1]


@pytest.mark.parametrize(
    "name", ["secret", "../x/doubt-a", "doubt-a/../../b", "doubt-", "doubt-no-such", "", "doubt-\0"]
)
def test_nothing_else_is_given(folder: Path, name: str) -> None:
    with pytest.raises(RequestError, match=r"no clip .*; request/clips lists them"):
        teaching_pieces.piece(folder, name, 0, 100)


def test_a_link_is_not_followed(folder: Path) -> None:
    (folder / "doubt-link.mp4").symlink_to(folder / "secret.mp4")
    with pytest.raises(RequestError):
        teaching_pieces.piece(folder, "doubt-link", 0, 100)


def test_facts_that_cannot_be_read_are_none(folder: Path) -> None:
    (folder / f"{NAME}.json").write_text("{")
    assert teaching_pieces.piece(folder, NAME, 0, 100)["facts"] == {}
