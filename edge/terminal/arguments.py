"""The parser of every command line of ours."""

import argparse
import unicodedata
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


def _path(text: str) -> Path:
    return Path(path_as_text(text))
