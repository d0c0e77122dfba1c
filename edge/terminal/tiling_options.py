"""The options that say where in a frame the network looks: `--region` and `--tiles`."""

import argparse

from edge import tiles
from edge.terminal.arguments import number
from edge.tiles import Region, Tiling

WHOLE_FRAME = Tiling()


def add_tiling(parser: argparse.ArgumentParser) -> None:
    """Add where the network looks in a frame."""
    parser.add_argument("--region", type=_region, metavar="X,Y,W,H", help="look at this part, in fractions 0..1")
    parser.add_argument("--tiles", type=_grid, metavar="2x1", help="look at so many columns x rows of tiles")


def tiling_of(options: argparse.Namespace, otherwise: Tiling = WHOLE_FRAME) -> Tiling:
    """Where the network looks by these options, and `otherwise` where they say nothing."""
    columns, rows = options.tiles or (otherwise.columns, otherwise.rows)
    return Tiling(options.region or otherwise.region, columns, rows, otherwise.overlap)


def given(options: argparse.Namespace) -> tuple[str, ...]:
    """The words of the command line that say the same again; none where nothing was said."""
    region = ("--region", ",".join(f"{side:.6g}" for side in options.region)) if options.region else ()
    grid = ("--tiles", "{}x{}".format(*options.tiles)) if options.tiles else ()
    return *region, *grid


def _grid(text: str) -> tuple[int, int]:
    try:
        return tiles.parse_grid(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _region(text: str) -> Region:
    try:
        return tiles.check_region([number(side) for side in text.split(",")])
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
