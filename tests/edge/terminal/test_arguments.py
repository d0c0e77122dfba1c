import argparse
from pathlib import Path

import pytest

from edge.terminal.arguments import Parser, whole_number


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("256", 256)])
def test_a_whole_number(text: str, number: int) -> None:
    assert whole_number(1, 256)(text) == number


@pytest.mark.parametrize("text", ["0", "257", "-1", "1.5", "", " 1", "1e2", "many", "²"])
def test_what_is_no_whole_number_within_the_bounds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r": give a whole number from 1 to 256$"):
        whole_number(1, 256)(text)


def test_without_an_upper_bound() -> None:
    assert whole_number(0)("1000000000000") == 10**12
    with pytest.raises(argparse.ArgumentTypeError, match=r"^-1: give a whole number, 0 or more$"):
        whole_number(0)("-1")


@pytest.mark.parametrize(
    "words", [["rtsp://user:secret@cam/live"], ["--number", "user:secret@cam"], ["a", "rtsp://user:secret@cam"]]
)
def test_a_message_repeats_no_login(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("korsal-edge")
    parser.add_argument("file", type=Path)
    parser.add_argument("--number", type=whole_number(1))
    with pytest.raises(SystemExit) as exited:
        parser.parse_args(words)
    assert exited.value.code == 2
    assert "secret" not in capsys.readouterr().err
