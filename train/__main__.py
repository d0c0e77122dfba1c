"""The command `korsal-train`. It says in one sentence which package is missing."""

import sys
from collections.abc import Sequence

from edge import packages


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of `train.train`; returns the exit status."""
    try:
        from train import train
    except ModuleNotFoundError as error:
        print(f"korsal-train: {packages.sentence(error)}", file=sys.stderr)
        return 1
    return train.main(list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
