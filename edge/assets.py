"""Where the files lie that come with the program: model, demo clip, schema, default configuration.

Shell: looks at the disk.
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ASSET_FOLDERS = (PACKAGE / "shipped", PACKAGE.parent)  # of an installed wheel; of a checkout


class AssetError(Exception):
    """A file that comes with the program is not there."""


def asset_path(name: str, places: tuple[Path, ...] = ASSET_FOLDERS) -> Path:
    """The path of the shipped file `name`, written as in the repository: "models/korsal-lite-ucf24x5.onnx".

    The first of `places` that has it wins. Raises AssetError.
    """
    for place in places:
        if (place / name).is_file():
            return place / name
    searched = " and ".join(str(place) for place in places)
    raise AssetError(f"{name} is missing (searched {searched}): install korsal-edge anew, or restore it with git")
