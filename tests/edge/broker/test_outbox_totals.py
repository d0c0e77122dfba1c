import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.outbox_mark import SLOT, HighWaterMark, decoded, encoded
from edge.broker.outbox_totals import Totals, from_columns, to_columns

COUNTS = st.integers(0, 2**63 - 1)
TOTALS = st.builds(Totals, COUNTS, COUNTS, COUNTS, st.floats(allow_nan=False))
MARKS = st.builds(HighWaterMark, TOTALS, COUNTS, st.booleans())


@given(TOTALS)
def test_totals_come_back(totals: Totals) -> None:
    assert from_columns(to_columns(totals)) == totals


@given(TOTALS, st.integers(0, 3), st.integers(1, 9))
def test_totals_that_were_changed_do_not(totals: Totals, column: int, change: int) -> None:
    columns = list(to_columns(totals))
    columns[column] = 0.5 if columns[column] != 0.5 else 1.5
    assert from_columns(columns) is None
    assert from_columns((*to_columns(totals)[:4], to_columns(totals)[4] + change)) is None


@given(MARKS, MARKS, st.integers(1, 1000))
def test_the_newer_slot_counts_wherever_it_lies(older: HighWaterMark, newer: HighWaterMark, serial: int) -> None:
    slots = [encoded(older, serial), encoded(newer, serial + 1)]
    assert decoded(b"".join(slots)) == decoded(b"".join(reversed(slots))) == (serial + 1, newer)


@given(MARKS, MARKS, st.integers(0, 8 * 57 - 1))
def test_where_the_newer_is_torn_the_older_counts(older: HighWaterMark, newer: HighWaterMark, bit: int) -> None:
    torn = bytearray(encoded(newer, 2))
    torn[bit // 8] ^= 1 << bit % 8
    assert decoded(encoded(older, 1) + bytes(torn)) == (1, older)


@pytest.mark.parametrize("slots", [b"", bytes(SLOT), bytes(2 * SLOT), b"\xff" * 2 * SLOT, b"KEM1"])
def test_an_invalid_mark_is_ignored(slots: bytes) -> None:
    assert decoded(slots) is None


def test_a_transaction_counts() -> None:
    assert Totals(5, 10, 3).after(added=4, removed=2) == Totals(6, 14, 5)
    assert Totals(5, 10, 3).after(added=0, removed=9) == Totals(6, 10, 0)
