"""Keys of older configuration files that count frames, read as those of today, which count seconds. Pure."""

from collections.abc import Iterator
from typing import Any

from edge.linker import UNIT

Rename = tuple[str, str, int]  # the old key, the new one, and how many frames of the old count mean 0 seconds
LINKER_KEYS: tuple[Rename, ...] = (("min_hits", "confirm_seconds", 1), ("max_missed", "max_missed_seconds", 0))
CAMERA_KEYS: tuple[Rename, ...] = (("frame_gap", "motion_gap_seconds", 0),)
LEAST = {"min_hits": 1, "max_missed": 0, "frame_gap": 1}


def replace_old_keys(document: dict[str, Any]) -> str:
    """Replace old keys by new ones, in place, at 25 frames per second; a sentence about them, "" if there are none.

    Where both stand, the new one holds. An old key whose value is no such number stays, for the schema to refuse.
    """
    replaced = [*_replaced(document.get("linker"), "linker", LINKER_KEYS)]
    cameras = document.get("cameras")
    for name, camera in cameras.items() if isinstance(cameras, dict) else ():
        replaced += _replaced(camera, f"cameras.{name}", CAMERA_KEYS)
    return f"{', '.join(replaced)}: write the new keys, which count seconds, not frames" if replaced else ""


def _replaced(table: object, path: str, keys: tuple[Rename, ...]) -> Iterator[str]:
    for old, new, none in keys:
        if not isinstance(table, dict) or type(frames := table.get(old)) is not int or frames < LEAST[old]:
            continue
        del table[old]
        if new in table:
            yield f"{path}.{old} is ignored beside {new}"
        else:
            table[new] = round((frames - none) * UNIT, 6)
            yield f"{path}.{old} = {frames} is read as {new} = {table[new]:g}"
