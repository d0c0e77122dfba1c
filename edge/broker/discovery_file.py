"""The entities that earlier runs announced to Home Assistant, so that obsolete ones can be removed. Shell.

A file of a few kilobytes beside the outbox. Where it cannot be read or written, obsolete entities stay at Home
Assistant until somebody deletes them there, and nothing else suffers.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from edge.broker.home_assistant import PLATFORMS
from edge.files import write_atomically

log = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024  # bytes


def read(path: Path) -> dict[str, str]:
    """Platforms by key of the entity; empty where nothing is known."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):  # missing, unreadable, damaged
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: platform for key, platform in content.items() if platform in PLATFORMS}


def write(path: Path, platforms: Mapping[str, str]) -> None:
    """Replace the file, atomically."""
    try:
        write_atomically(path, json.dumps(platforms, indent=1).encode())
    except OSError as error:
        log.warning("%s: cannot be written (%s): Home Assistant may keep obsolete entities", path, error.strerror)
