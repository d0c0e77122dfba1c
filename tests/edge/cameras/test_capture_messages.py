import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.capture_messages import MAX_CHARACTERS, MESSAGE_BYTES, WorkerMessage, decode, encode


@pytest.mark.parametrize(
    "content",
    [WorkerMessage(), WorkerMessage(fault="broken"), WorkerMessage(through="FFmpeg"), WorkerMessage(note="odd")],
)
def test_there_and_back(content: WorkerMessage) -> None:
    assert decode(encode(content)) == content


@given(st.text(min_size=1).map(lambda text: text * (3 * MAX_CHARACTERS // len(text))))
def test_any_message_text_fits(sentence: str) -> None:
    message = encode(WorkerMessage(fault=sentence, through=sentence, note=sentence))
    assert len(message) <= MESSAGE_BYTES  # 3 sentences of 2000 letters of at most 12 bytes, and their names
    fault = decode(message).fault
    assert fault is not None
    assert len(fault) == MAX_CHARACTERS
    line = "".join(letter if letter.isprintable() else "?" for letter in sentence)
    assert fault[:100] == line[:100]
    assert fault[-100:] == line[-100:]


def test_a_process_that_was_taken_over_writes_no_lines_of_its_own() -> None:
    content = decode(json.dumps({"fault": "x\nERROR: all is lost\x1b[31m", "note": "y" * 10_000}).encode())
    assert content.fault == "x?ERROR: all is lost?[31m"
    assert len(str(content.note)) == MAX_CHARACTERS


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b"1", b'{"fault": 1}', b'{"through": []}', b'{"note": 1}', b"\xff"]
)
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(message)


@given(st.binary())
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(decode(message), WorkerMessage)
