"""Names of videos in data sets, and the files that they stand for."""

from pathlib import Path, PurePosixPath

from edge.files import existing_path
from edge.sources import VIDEO_SUFFIXES
from edge.text import to_nfc


def stays_inside(name: str) -> bool:
    """Whether a video of this name lies in the folder that its name is joined to: neither absolute, nor with `..`."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def without_suffix(name: str) -> str:
    """The name of a video without the suffix of its container."""
    return next((name[: -len(ending)] for ending in VIDEO_SUFFIXES if name.lower().endswith(ending)), name)


def find_video(videos: Path, name: str) -> Path | None:
    """A video of this name in another Unicode form, or of an ending like `.Mp4`."""
    folder, _, stem = name.rpartition("/")
    try:
        files = sorted(existing_path(videos, folder).iterdir())
    except OSError:
        return None
    near_duplicates = (
        one for one in files if to_nfc(one.stem) == to_nfc(stem) and one.suffix.lower() in VIDEO_SUFFIXES
    )
    return next(near_duplicates, None)
