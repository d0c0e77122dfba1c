"""The matching with the greatest sum of gains."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edge.assignment import assign

quarters = st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.75, 1.0])  # many ties and many zeros, as overlaps have
gain_tables = st.tuples(st.integers(0, 7), st.integers(0, 7)).flatmap(
    lambda size: st.lists(
        st.lists(quarters | st.floats(-1, 1), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


def table_of(gains: Any) -> Any:
    return np.array(gains, float).reshape(len(gains), len(gains[0]) if gains else 0)


@pytest.mark.parametrize(
    ("gains", "pairs"),
    [
        ([], []),
        ([[], []], []),
        ([[0.5]], [(0, 0)]),
        ([[0.0]], []),  # nothing to gain is no pair
        ([[-1.0, 0.1]], [(0, 1)]),
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 1), (1, 0)]),  # 0.8 + 0.8 > 0.9 + 0.1, which greed would take
        ([[0.5, 0.0], [0.6, 0.0]], [(1, 0)]),  # two want one
        ([[0.2, 0.7, 0.1]], [(0, 1)]),  # more columns than rows
        ([[0.2], [0.7], [0.1]], [(1, 0)]),  # more rows than columns
    ],
)
def test_small_tables(gains: Any, pairs: Any) -> None:
    assert assign(table_of(gains)) == pairs


@given(gain_tables)
def test_no_matching_gains_more(gains: Any) -> None:
    pairs = assign(table_of(gains))
    table = np.maximum(table_of(gains), 0)
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    assert sum(gains[row][column] for row, column in pairs) == pytest.approx(best, abs=1e-9)


@given(gain_tables)
def test_everybody_belongs_to_one_at_most_and_every_pair_gains(gains: Any) -> None:
    pairs = assign(table_of(gains))
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gains[row][column] > 0 for row, column in pairs)
    assert pairs == sorted(pairs)


@given(gain_tables)
def test_the_same_table_always_gives_the_same_pairs(gains: Any) -> None:
    """Ties included."""
    table = table_of(gains)
    assert assign(table) == assign(table.copy()) == assign(np.asfortranarray(table)) == assign(table)
