"""The parser of every command line of ours."""

import argparse
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from edge.stream_url import looks_like_url


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments, unless a camera's login may be among them. Its subcommands do the same.

    An argument of type Path is no address: a path loses one of two slashes, and with it what shows that it is a login.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        """End with status 2 and the usage."""
        plain = unicodedata.normalize("NFKC", message)
        secret = "@" in plain or "://" in plain
        super().error("an argument is wrong, or one too many: see --help" if secret else message)


def path_as_text(text: str) -> str:
    """A path, as it was given. ArgumentTypeError, which repeats nothing of it, for an address."""
    if looks_like_url(text):
        raise argparse.ArgumentTypeError("is an address, not a path (write ./name where a file's name looks like one)")
    return text


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that is a whole number within these bounds."""
    bounds = f", {least} or more" if most is None else f" from {least} to {most}"

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"{text}: give a whole number{bounds}")
        return int(text)

    return parse


def _path(text: str) -> Path:
    return Path(path_as_text(text))
