"""What one kind of pickle may hold, and the errors about one that holds something else. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ByteCounts = Mapping[type, Callable[[Any], int]]


class PickleError(ValueError):
    """What is wrong with a pickle, without its file's name."""


class ForeignNameError(PickleError):
    """A pickle that names what is in no table: to be had, it would have to be executed."""


@dataclass(frozen=True, eq=False)
class PickleGlobal:
    """A global that an allowlist holds, and the function that replaces it; None for one that is only an argument."""

    module: str
    name: str
    call: Callable[..., Any] | None


@dataclass(eq=False)
class Unfinished:
    """What was called for and gets its content by a later BUILD: `finish` makes the value of that."""

    finish: Callable[[Any], Any]
    value: Any = None
    done: bool = False


@dataclass(frozen=True, eq=False)
class PickleAllowlist:
    """What one kind of pickle may hold.

    `names`: (module, name) → the function that replaces it. `never`: the kind of file, for the error message.
    `byte_counts`: bytes of values beyond plain ones, by their type. `persistent`: makes a value of what lies elsewhere.
    """

    names: Mapping[tuple[str, str], Callable[..., Any] | None]
    never: str
    byte_counts: ByteCounts
    persistent: Callable[[Any], Any] | None = None


def printable(text: str) -> str:
    """A text of a file, fit for a message: short, and nothing in it that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80])
