"""Who belongs to whom: the matching of two sets with the greatest sum of gains. Pure."""

from collections.abc import Sequence


def assign(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """(row, column) pairs, rows rising, each row and column at most once, whose gains sum to the most possible.

    A gain of 0 or less is no pair: such a row stays alone. The Hungarian method by shortest augmenting paths, as
    Jonker and Volgenant 1987, in O(rows² · columns); plain Python, because a frame holds about ten people, where the
    cost of calling numpy is above that of counting.
    """
    if not gains or not gains[0]:
        return []
    if len(gains) > len(gains[0]):
        return sorted((row, column) for column, row in assign(list(zip(*gains, strict=True))))
    cost = [[-max(gain, 0.0) for gain in row] for row in gains]
    width = len(cost[0])
    row_price = [0.0] * len(cost)
    column_price = [0.0] * width
    row_of = [-1] * width  # for each column the row that has it
    for row in range(len(cost)):
        _augment(row, cost, row_price, column_price, row_of)
    return sorted((row, column) for column, row in enumerate(row_of) if row >= 0 and gains[row][column] > 0)


def _augment(
    start: int, cost: list[list[float]], row_price: list[float], column_price: list[float], row_of: list[int]
) -> None:
    """Give row `start` a column by the cheapest chain of moves, and set the prices that prove it cheapest. In place."""
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
