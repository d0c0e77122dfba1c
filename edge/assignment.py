"""Who belongs to whom: the matching of two sets with the greatest sum of gains. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import sub

import numpy as np
from numpy.typing import NDArray


def assign(gains: NDArray[np.floating]) -> list[tuple[int, int]]:
    """(row, column) pairs, rows rising, each row and column at most once, whose `gains` (R, C) sum to the most.

    A gain of 0 or less is no pair: such a row stays alone. Who has nobody in common is matched apart: people in a frame
    mostly have one box in reach each, and the cost grows with the largest group, not with the crowd.
    """
    rows, columns = np.nonzero(gains > 0)
    pairs = []
    for group in groups(rows.tolist(), columns.tolist()):
        if len(group[0]) == len(group[1]) == 1:
            pairs.append((group[0][0], group[1][0]))
        else:
            pairs += [(group[0][row], group[1][column]) for row, column in _matched(gains[np.ix_(*group)])]
    return sorted(pairs)


def groups(rows: Sequence[int], columns: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The connected parts of a graph whose edges join `rows[i]` to `columns[i]`: their rows and columns, rising."""
    of_row: defaultdict[int, list[int]] = defaultdict(list)
    of_column: defaultdict[int, list[int]] = defaultdict(list)
    for row, column in zip(rows, columns, strict=True):
        of_row[row].append(column)
        of_column[column].append(row)
    met: set[int] = set()
    for first in of_row:
        if first in met:
            continue
        met.add(first)
        group, reached, waiting = [first], set[int](), [first]
        while waiting:
            for column in of_row[waiting.pop()]:
                if column not in reached:
                    reached.add(column)
                    fresh = [row for row in of_column[column] if row not in met]
                    met.update(fresh)
                    group += fresh
                    waiting += fresh
        yield sorted(group), sorted(reached)


def _matched(gains: NDArray[np.floating]) -> list[tuple[int, int]]:
    """The pairs of one group: the Hungarian method by shortest augmenting paths, as Jonker and Volgenant 1987.

    In O(rows² · columns); plain Python, because a group holds a few people, where calling numpy costs more than
    counting.
    """
    if gains.shape[0] > gains.shape[1]:
        return [(row, column) for column, row in _matched(gains.T)]
    cost = np.minimum(-gains, 0).tolist()
    height, width = gains.shape
    row_price = [0.0] * height
    column_price = [0.0] * width
    row_of = [-1] * width  # for each column the row that has it
    for row in range(height):
        _augment(row, cost, row_price, column_price, row_of)
    return [(row, column) for column, row in enumerate(row_of) if row >= 0 and cost[row][column] < 0]


def _augment(
    start: int, cost: list[list[float]], row_price: list[float], column_price: list[float], row_of: list[int]
) -> None:
    """Give row `start` a column by the cheapest chain of moves, and set the prices that prove it cheapest. In place."""
    reduced = list(map(sub, cost[start], column_price))
    best = min(reduced)
    if row_of[reduced.index(best)] < 0:  # nobody has to move
        row_price[start] += best
        row_of[reduced.index(best)] = start
        return
    width = len(column_price)
    distance = [float("inf")] * width
    came_from = [-1] * width  # the column before on the chain, −1 for the start
    open_columns = set(range(width))
    closed: list[int] = []
    row, column, so_far = start, -1, 0.0
    while True:
        base = so_far - row_price[row]
        for other in open_columns:
            through = base + cost[row][other] - column_price[other]
            if through < distance[other]:
                distance[other], came_from[other] = through, column
        column = min(open_columns, key=lambda other: (distance[other], other))
        so_far = distance[column]
        open_columns.remove(column)
        if row_of[column] < 0:
            break
        closed.append(column)
        row = row_of[column]
    row_price[start] += so_far
    for other in closed:
        row_price[row_of[other]] += so_far - distance[other]
        column_price[other] -= so_far - distance[other]
    while column >= 0:
        before = came_from[column]
        row_of[column] = start if before < 0 else row_of[before]
        column = before
