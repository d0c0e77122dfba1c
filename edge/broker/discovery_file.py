"""What Home Assistant has been told of by earlier runs, so that what there is no more can be taken away. Shell: a file.

A file of a few kilobytes beside the outbox. Where it cannot be read or written, some entities stay at Home Assistant
until somebody deletes them there, and nothing else suffers.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from edge.broker.home_assistant import PLATFORMS
from edge.files import write_atomically

log = logging.getLogger(__name__)

LARGEST = 16 * 1024 * 1024  # bytes


def read(path: Path) -> dict[str, str]:
    """Platforms by the key of the entity; empty where nothing is known."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):  # not there, not ours to read, damaged
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: platform for key, platform in content.items() if platform in PLATFORMS}


def write(path: Path, platforms: Mapping[str, str]) -> None:
    """Remember these, whole or not at all."""
    try:
        write_atomically(path, json.dumps(platforms, indent=1).encode())
    except OSError as error:
        log.warning("%s: cannot be written (%s): Home Assistant may keep entities that go", path, error.strerror)
