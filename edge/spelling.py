"""Shell. Files by names that look the same: Unicode has several forms of a letter, and people type another than macOS.

Linux takes names as bytes, so that `é` in one form does not open a file whose name has it in the other.
"""

import os
from pathlib import Path

from edge.text import composed


def lookup(folder: Path, name: str) -> Path:
    """`name` below `folder`, as its folders and the file are really spelt; as given where there is no such file."""
    given = folder / name
    if os.path.exists(given):
        return given
    place = folder
    for part in Path(name).parts:
        there = place / part
        place = there if os.path.exists(there) else next(iter(_looking_like(there)), there)
    return place if os.path.exists(place) else given


def _looking_like(path: Path) -> list[Path]:
    """What lies where `path` would and has its name in another form of Unicode."""
    try:
        return sorted(one for one in path.parent.iterdir() if composed(one.name) == composed(path.name))
    except OSError:
        return []
