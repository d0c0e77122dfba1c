import pytest

from edge.text import first_line, is_visible_line, near_duplicates, sanitized, shortened, to_nfc


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", ""),
        ("one", "one"),
        (ValueError("one\ntwo"), "one"),
        ("\n  one \n two", "one "),
        ("x" * 300, "x" * 200),
    ],
)
def test_the_first_line_of_a_message(message: object, line: str) -> None:
    assert first_line(message) == line


def test_names_that_look_the_same_are_near_duplicates() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates(["Run", "Jump", "run "]) == [("Run", "run ")]
    assert near_duplicates(["caf\u00e9", "cafe\u0301", "cafe"]) == [("caf\u00e9", "cafe\u0301")]
    assert to_nfc("cafe\u0301") == "caf\u00e9"


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Long Jump", True),
        ("\u6295\u7bee", True),
        ("a\u00a0b", True),
        ("a\nb", False),
        ("a\u202eb", False),
        ("a\x1b", False),
    ],
)
def test_a_visible_line_has_no_hidden_characters(text: str, visible: bool) -> None:
    assert is_visible_line(text) == visible


def test_what_is_printed_is_short_and_steers_no_terminal() -> None:
    assert sanitized("a\x1b[2J\nb") == "a?[2J?b"
    assert shortened("x" * 2000) == "x" * 2000
    assert len(shortened("x" * 1_000_000)) == 2005
