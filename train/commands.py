"""The commands of `korsal-train` beside training itself, by their first word."""

import sys
from collections.abc import Sequence

from train import check, classifier, second_look

COMMANDS = {"check": check.main, "classifier": classifier.main, "second-look": second_look.main}


def run(name: str, words: Sequence[str]) -> int:
    """The exit status of one of COMMANDS, whose files appear whole or not at all."""
    try:
        return COMMANDS[name](words)
    except KeyboardInterrupt:
        print("korsal-train: stopped", file=sys.stderr)
        return 130
