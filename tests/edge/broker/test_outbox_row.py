import pytest

from edge.broker import outbox_row
from edge.broker.message import Message
from edge.broker.outbox_row import Row, decode_lossless, from_message, to_message, verified, well_formed, with_checksum

ROW: Row = (7, "korsal/roof/door/actions/Läuft", b"\x00\xff{}", "a", 3, "update", 1.8e9)


def test_a_row_is_verified_as_long_as_nothing_is_changed() -> None:
    assert verified(with_checksum(ROW)) == ROW


@pytest.mark.parametrize(
    "changed",
    [
        (8, *ROW[1:]),
        (*ROW[:1], "korsal/roof/door/actions/Läufs", *ROW[2:]),
        (*ROW[:1], decode_lossless(b"k\xff"), *ROW[2:]),
        (*ROW[:1], b"korsal", *ROW[2:]),
        (*ROW[:2], b"\x00\xfe{}", *ROW[3:]),
        (*ROW[:2], "text", *ROW[3:]),
        (*ROW[:4], 4, *ROW[5:]),
        (*ROW[:4], 3.0, *ROW[5:]),
        (*ROW[:4], 2**70, *ROW[5:]),
        (*ROW[:5], "end", 1.8e9),
        (*ROW[:6], None),
        (*ROW[:6], 1.8e9 + 1),
    ],
)
def test_a_row_that_was_changed_is_not(changed: tuple[object, ...]) -> None:
    assert verified((*changed, outbox_row.checksum(ROW))) is None


def test_no_byte_passes_from_one_column_to_the_next() -> None:
    one, other = (1, "ab", b"c", "d", 0, "new", 0.0), (1, "a", b"bc", "d", 0, "new", 0.0)
    assert outbox_row.checksum(one) != outbox_row.checksum(other)


def test_without_a_checksum_what_can_be_ours_is_accepted() -> None:
    assert well_formed(ROW) == ROW
    assert well_formed((*ROW[:5], "neu", 1.8e9)) is None
    assert well_formed((*ROW[:1], decode_lossless(b"\xff"), *ROW[2:])) is None


@pytest.mark.parametrize(("expires", "stored"), [(1.8e9, 1.8e9 - 100), (1000.0, 1000.0)])
def test_a_message_comes_back_and_its_expiry_is_stored_without_the_shift(expires: float, stored: float) -> None:
    message = Message("t", b"{}", "a", 3, "update", expires)
    row = from_message(7, message, 100.0)
    assert row == (7, "t", b"{}", "a", 3, "update", stored)
    assert to_message(row, 100.0) == message
