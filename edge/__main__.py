"""The command `korsal-edge`. It handles signals before it imports anything that takes time."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from edge import packages
from edge.signals import Signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; see `edge.commands.command_line.main`.

    A daemon that is told to reload or stop during its start does so as soon as it can; without a handler, SIGHUP would
    kill it.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with ExitStack() as owned:
        signals = owned.enter_context(Signals(reloads=True)) if list(given[:1]) == ["run"] else None
        try:
            from edge.commands import command_line
        except ModuleNotFoundError as error:
            print(f"korsal-edge: {packages.sentence(error)}", file=sys.stderr)
            return 1
        return command_line.main(given, signals)


if __name__ == "__main__":
    sys.exit(main())
