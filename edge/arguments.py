"""The parser of every command line of ours."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments, unless a camera's login may be among them. Its subcommands do the same."""

    def error(self, message: str) -> NoReturn:
        """End with status 2 and the usage."""
        super().error(message if "@" not in message else "an argument is wrong, or one too many: see --help")
