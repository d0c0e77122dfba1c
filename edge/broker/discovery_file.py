"""What earlier runs announced to Home Assistant, so that it can be removed when it is obsolete. Shell.

A file of some kilobytes beside the outbox. Where it cannot be read or written, obsolete entities stay at Home
Assistant until somebody deletes them there, and nothing else suffers.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.broker.home_entities import PLATFORMS
from edge.files import write_atomically

log = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Announced:
    """`topic`: where; None: not known. `platforms`: of all entities, by key, the newest last."""

    topic: str | None = None
    platforms: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> Announced:
    """What was announced; nothing where nothing is known. Files of platforms alone, as once written, are read too."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):  # missing, unreadable, damaged
        return Announced()
    if not isinstance(content, dict):
        return Announced()
    topic, found = content.get("topic"), content.get("platforms", content)
    return Announced(topic if isinstance(topic, str) else None, _platforms(found))


def write(path: Path, announced: Announced) -> None:
    """Replace the file, atomically."""
    content = {"topic": announced.topic, "platforms": dict(announced.platforms)}
    try:
        write_atomically(path, json.dumps(content, indent=1).encode())
    except OSError as error:
        log.warning("%s: cannot be written (%s): Home Assistant may keep obsolete entities", path, error.strerror)


def remove(path: Path) -> None:
    """Remove the file: nothing is announced any more."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be removed (%s): the announcement is withdrawn at each start", path, error.strerror)


def _platforms(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {key: platform for key, platform in found.items() if platform in PLATFORMS}
