"""The argument parser of all command lines, and types of options."""

import argparse
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from edge.stream_url import looks_like_url

Number = TypeVar("Number", int, float)
Command = Callable[[argparse.Namespace], int]  # runs a command and returns its exit status


class Parser(argparse.ArgumentParser):
    """An argument parser whose error messages never repeat a camera's login; its subcommands use it too.

    Arguments of type Path refuse URLs: as a path, a URL loses one of its two slashes and no longer looks like a login.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 after the usage and the message, unless that may hold a login."""
        plain = unicodedata.normalize("NFKC", message)
        secret = "@" in plain or "://" in plain
        super().error("an argument is wrong, or one too many: see --help" if secret else message)


def path_as_text(text: str) -> str:
    """A path as it was given. Raises ArgumentTypeError for a URL, without repeating it."""
    if looks_like_url(text):
        raise argparse.ArgumentTypeError("is an address, not a path (write ./name where a file's name looks like one)")
    return text


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that takes a whole number within these bounds."""
    bounds = f", {least} or more" if most is None else f" from {least} to {most}"

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"{text}: give a whole number{bounds}")
        return int(text)

    return parse


def with_commas(kind: Callable[[str], Number]) -> Callable[[str], tuple[Number, ...]]:
    """The type of an option that takes numbers with commas between them."""
    return lambda text: tuple(kind(one.strip()) for one in text.split(","))


def number(text: str) -> float:
    """A number; NaN for what is none, which no bound lets through."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def fraction(text: str) -> float:
    """The type of an option that takes a number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 to 1")
    return value


def _path(text: str) -> Path:
    return Path(path_as_text(text))
