"""The clips to teach with, as requests over MQTT are given them: a list in parts, and each clip in pieces. Shell."""

import base64
import heapq
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edge.broker.requests import RequestError
from edge.history.clip_names import FACTS
from edge.history.store_files import CLIP

NAME = re.compile(r"doubt-[\w-]{1,180}", re.ASCII)  # of a clip, without its ending; nothing that leads elsewhere
MOST_LISTED = 200  # clips in one answer
LARGEST_PIECE = 48 * 1024  # bytes, which base64 makes 64 KiB
LARGEST_FACTS = 4096  # bytes of the file beside a clip


def listed(folder: Path, after: str) -> Mapping[str, object]:
    """The clips whose names follow `after`, by name, with their bytes; `more`: whether that is not all."""
    try:
        files = os.listdir(folder)
    except OSError:  # nothing was kept yet
        files = []
    names = (file.removesuffix(CLIP) for file in files if file.endswith(CLIP))
    found = heapq.nsmallest(MOST_LISTED + 1, (name for name in names if name > after and NAME.fullmatch(name)))
    clips: list[Mapping[str, object]] = []
    for name in found[:MOST_LISTED]:
        with suppress(OSError):  # another thread deletes the oldest
            clips.append({"name": name, "bytes": (folder / f"{name}{CLIP}").stat().st_size})
    return {"clips": clips, "more": len(found) > MOST_LISTED}


def piece(folder: Path, name: str, offset: int, length: int) -> Mapping[str, object]:
    """Bytes of a clip from `offset` on, at most `length`, in base64; with the first also what is known of the clip.

    RequestError where there is no such clip, which may have been deleted since it was listed.
    """
    path = folder / f"{name}{CLIP}"
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            content = file.read(min(length, LARGEST_PIECE))
    except OSError:
        raise RequestError(f"no clip {name[:64]}; request/clips lists them") from None
    facts = {"facts": _facts(path.with_suffix(FACTS))} if not offset else {}
    return {"name": name, "bytes": size, "offset": offset, "content": base64.b64encode(content).decode(), **facts}


def _facts(path: Path) -> object:
    """What is written beside a clip; {} where that cannot be read."""
    try:
        with path.open("rb") as file:
            return json.loads(file.read(LARGEST_FACTS))
    except (OSError, ValueError, RecursionError):
        return {}
