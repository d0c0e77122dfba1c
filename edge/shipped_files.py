"""The files shipped with the program: model, demo clip, schema, default configuration. Shell: looks at the disk."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ASSET_FOLDERS = (PACKAGE / "shipped", PACKAGE.parent)  # in an installed wheel; in a checkout


class AssetError(Exception):
    """A shipped file is missing."""


def asset_path(name: str, places: tuple[Path, ...] = ASSET_FOLDERS) -> Path:
    """The path of a shipped file, named as in the repository: "models/korsal-lite-ucf24x5-jhmdb21.onnx".

    The first of `places` that has it wins. Raises AssetError.
    """
    for place in places:
        if (place / name).is_file():
            return place / name
    searched = " and ".join(str(place) for place in places)
    raise AssetError(f"{name} is missing (searched {searched}): reinstall korsal-edge, or restore it with git")
