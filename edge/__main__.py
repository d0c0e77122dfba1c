"""The command `korsal-edge`. It handles signals before it imports anything that takes time."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

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
            print(f"korsal-edge: {_missing(error)}", file=sys.stderr)
            return 1
        return command_line.main(given, signals)


def _missing(error: ModuleNotFoundError) -> str:
    """Which package is not installed, and the remedy."""
    if error.name == "cv2":
        return "OpenCV is not installed: pip install 'korsal-edge[cpu]', or on a Jetson take JetPack's own"
    return f"{error.name} is not installed: run install.sh again, or pip install korsal-edge with its dependencies"


if __name__ == "__main__":
    sys.exit(main())
