"""What is kept of TensorRT's messages: bounded, in lines."""

from edge.engines.tensorrt_log import KEPT_FIRST, KEPT_LAST, LONGEST_LINE, Messages


def test_few_messages_are_all_kept() -> None:
    messages = Messages()
    assert messages.lines() == []
    messages.add("one\n two")
    assert messages.lines() == ["one two"]


def test_of_many_the_first_and_the_last_are_kept() -> None:
    messages, count = Messages(), KEPT_FIRST + KEPT_LAST + 7
    for number in range(count):
        messages.add(f"{number} {'x' * 10_000}")
    lines = messages.lines()
    assert len(lines) == KEPT_FIRST + KEPT_LAST + 1
    assert lines[KEPT_FIRST] == "... 7 more ..."
    assert lines[0].startswith("0 ")
    assert lines[-1].startswith(f"{count - 1} ")
    assert max(map(len, lines)) == LONGEST_LINE
