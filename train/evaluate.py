"""The command `korsal-evaluate`: the whole evaluation of a model, or one of its steps. Shell."""

import sys

from edge import packages
from edge.packages import MissingPackageError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. See `train.evaluation.commands.command_line`."""
    try:
        for package in ("cv2", "lap"):  # all that follows imports them
            packages.require(package)
        from train.evaluation.commands import command_line
    except MissingPackageError as error:
        print(f"korsal-evaluate: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"korsal-evaluate: {packages.sentence(error)}", file=sys.stderr)
        return 1
    return command_line.main(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
