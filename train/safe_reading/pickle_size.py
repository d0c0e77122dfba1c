"""How much memory the content of a pickle takes with all that it repeats. Pure."""

from dataclasses import dataclass, field
from typing import Any

from train.safe_reading.pickle_allowlist import ByteCounts, PickleError

MAX_DEPTH = 64
MAX_REPETITION = 16  # times the file's size that its content may weigh with all that it repeats


def bytes_of(value: Any, byte_counts: ByteCounts) -> int | None:
    """Of what is no container; None for what no reader may hand on."""
    kind = type(value)
    if kind in byte_counts:
        return 1 + byte_counts[kind](value)
    if kind is str:
        return 1 + len(value) // MAX_REPETITION  # handed on as it is, wherever it stands
    if kind is bytes:
        return 1 + len(value)
    return 1 if kind in (int, float, bool, complex, type(None)) else None


@dataclass(eq=False)
class SizeMeter:
    """Weighs a value with all that it repeats, each part once."""

    byte_counts: ByteCounts
    most: int
    known: dict[int, tuple[int, int]] = field(default_factory=dict)  # id → bytes, levels; parts live as the whole does
    within: set[int] = field(default_factory=set)

    def weigh(self, value: Any, depth: int = 0) -> tuple[int, int]:
        """Bytes and levels. PickleError for too much of either, for a circle, and for what is not plain."""
        plain = bytes_of(value, self.byte_counts)
        if plain is not None:
            return plain, 0
        if id(value) in self.known:
            return self.known[id(value)]
        if type(value) not in (list, tuple, dict, set, frozenset):
            raise PickleError("it holds something unfinished or that is no value")
        if id(value) in self.within:
            raise PickleError("it holds itself")
        if depth > MAX_DEPTH:
            raise PickleError(f"it is nested more than {MAX_DEPTH} deep")
        self.within.add(id(value))
        parts = [*value.keys(), *value.values()] if type(value) is dict else value
        weight, levels = 1, 0
        for part in parts:
            more, below = self.weigh(part, depth + 1)
            weight, levels = weight + more, max(levels, below + 1)
        if weight > self.most or levels > MAX_DEPTH:
            what = (
                f"nested more than {MAX_DEPTH} deep" if levels > MAX_DEPTH else "far larger than its file by repetition"
            )
            raise PickleError(f"it is {what}")
        self.within.discard(id(value))
        self.known[id(value)] = weight, levels
        return weight, levels
