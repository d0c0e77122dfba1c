"""`korsal-convert`: trained weights → models for the device."""

import sys
from collections.abc import Sequence

from edge import packages
from edge.terminal import output as terminal


@terminal.program
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _command(given)
    except ModuleNotFoundError as error:
        print(f"korsal-convert: {packages.sentence(error)}; korsal-convert doctor lists all", file=sys.stderr)
        return 1


def _command(given: Sequence[str]) -> int:
    """Run the command; each imports only what it needs."""
    if given[:1] == ["doctor"]:
        from convert.commands import doctor

        return doctor.main(given[1:])
    if given[:1] == ["build"]:  # on the device, where neither torch nor onnx need be
        from convert.commands import build

        return build.main(given[1:])
    from convert.commands import command_line

    return command_line.main(given)


if __name__ == "__main__":
    sys.exit(main())
