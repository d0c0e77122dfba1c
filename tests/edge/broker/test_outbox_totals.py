import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.outbox_totals import SLOT, Ledger, Mark, packed, seal, unpacked, unseal
from tests.support.laws import law

COUNTS = st.integers(0, 2**63 - 1)
LEDGERS = st.builds(Ledger, COUNTS, COUNTS, COUNTS, st.floats(allow_nan=False))
MARKS = st.builds(Mark, LEDGERS, COUNTS, st.booleans())


@law
@given(LEDGERS)
def test_a_ledger_comes_back(ledger: Ledger) -> None:
    assert unseal(seal(ledger)) == ledger


@law
@given(LEDGERS, st.integers(0, 3), st.integers(1, 9))
def test_a_ledger_that_was_changed_does_not(ledger: Ledger, column: int, change: int) -> None:
    columns = list(seal(ledger))
    columns[column] = 0.5 if columns[column] != 0.5 else 1.5
    assert unseal(columns) is None
    assert unseal((*seal(ledger)[:4], seal(ledger)[4] + change)) is None


@law
@given(MARKS, MARKS, st.integers(1, 1000))
def test_the_newer_slot_counts_wherever_it_lies(older: Mark, newer: Mark, turn: int) -> None:
    slots = [packed(older, turn), packed(newer, turn + 1)]
    assert unpacked(b"".join(slots)) == unpacked(b"".join(reversed(slots))) == (turn + 1, newer)


@law
@given(MARKS, MARKS, st.integers(0, 8 * 57 - 1))
def test_where_the_newer_is_torn_the_older_counts(older: Mark, newer: Mark, bit: int) -> None:
    torn = bytearray(packed(newer, 2))
    torn[bit // 8] ^= 1 << bit % 8
    assert unpacked(packed(older, 1) + bytes(torn)) == (1, older)


@pytest.mark.parametrize("slots", [b"", bytes(SLOT), bytes(2 * SLOT), b"\xff" * 2 * SLOT, b"KEM1"])
def test_what_is_no_mark_says_nothing(slots: bytes) -> None:
    assert unpacked(slots) is None


def test_a_transaction_counts() -> None:
    assert Ledger(5, 10, 3).after(stored=4, gone=2) == Ledger(6, 14, 5)
    assert Ledger(5, 10, 3).after(stored=0, gone=9) == Ledger(6, 10, 0)
