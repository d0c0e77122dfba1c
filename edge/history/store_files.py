"""Where the event store's files are, and how much of the disk is left to others. Needs neither arrays nor pictures."""

import shutil
from pathlib import Path

RESERVED_BYTES = 256 * 1024 * 1024  # left free on the disk: the outbox needs it more
PICTURE, CLIP = ".jpg", ".mp4"
STORE_ENDING = ".history.sqlite"


def store_path(directory: Path, device: str) -> Path:
    """The store of a device, beside its outbox."""
    return directory / f"{device}{STORE_ENDING}"


def device_of(store: Path) -> str:
    """The device whose store it is, by its name."""
    return store.name.removesuffix(STORE_ENDING)


def media_folder(path: Path) -> Path:
    """The folder of pictures and clips that belongs to a store's file."""
    return path.with_suffix("")


def check_space(folder: Path, size: int) -> None:
    """OSError where so many bytes more would leave too little of the disk for what matters more."""
    free = shutil.disk_usage(folder).free
    if free - size < RESERVED_BYTES:
        raise OSError(f"only {free >> 20} MiB are free on its disk")
