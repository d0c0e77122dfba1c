"""The command `korsal-train`: those of a project folder here, `check` and the training itself in `train`."""

import sys
from collections.abc import Sequence

from edge import packages
from edge.terminal import output as terminal

COMMANDS = ("new", "propose", "run", "report", "deploy", "fetch")


@terminal.program
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Each imports only what it needs."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _command(given)
    except ModuleNotFoundError as error:
        print(f"korsal-train: {packages.sentence(error)}", file=sys.stderr)
        return 1


def _command(given: Sequence[str]) -> int:
    if given[:1] and given[0] in COMMANDS:
        from convert.project.command_line import main as run_command

        return run_command(given)
    if given[:1] == ["check"]:  # which needs no torch
        from train import check

        return check.main(given[1:])
    from train import train

    return train.main(list(given))


if __name__ == "__main__":
    sys.exit(main())
