import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.web.messages import LENGTHS, MOST_BYTES, MessageError, PageMessage, Unpacker, lengths, pack, parse

HEADERS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=20)), max_size=4), st.integers(1, 40))
def test_what_is_packed_comes_out_however_it_is_cut(sent: list[tuple[dict[str, object], bytes]], size: int) -> None:
    stream = b"".join(pack(header, body) for header, body in sent)
    unpacker = Unpacker()
    found = [one for at in range(0, len(stream), size) for one in unpacker.add(stream[at : at + size])]
    assert found == [PageMessage(dict(header), body) for header, body in sent]


def test_nonsense_is_refused() -> None:
    with pytest.raises(MessageError, match="too long"):
        lengths(LENGTHS.pack(MOST_BYTES, 1))
    with pytest.raises(MessageError, match="too long"):
        pack({}, bytes(MOST_BYTES))
    for text in (b"[]", b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(MessageError, match="no JSON object"):
            parse(text, b"")
    with pytest.raises(MessageError, match="cannot be written"):
        pack({"score": float("nan")})
