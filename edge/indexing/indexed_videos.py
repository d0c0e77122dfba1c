"""Which videos have been looked through, how far and with what: kept in the event store beside what was found. Shell.

A part of a video and how far it goes are stored in one transaction, so that a run that is killed loses no event and
stores none twice.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge import files
from edge.history.event_store import EventStore, KeptStep, add_packed, name_media, write_steps
from edge.history.store_files import PICTURE, check_space
from edge.indexing.video_parts import IndexedEvent, VideoPart

PROGRESS = "SELECT frames, done FROM videos WHERE path = ? AND identity = ? AND found_with = ?"


@dataclass(frozen=True)
class VideoProgress:
    """`frames`: looked through so far; `done`: to the end."""

    frames: int
    done: bool


def identity_of(video: Path) -> str:
    """What tells a file from another under the same name: its size and when it was last written. Raises OSError."""
    facts = video.stat()
    return f"{facts.st_size} {facts.st_mtime_ns}"


def begin(store: EventStore, video: Path, identity: str, found_with: str) -> VideoProgress:
    """How far the video has been looked through by this model and these settings.

    What was found in another file of this name, or with other settings, is deleted.
    """
    key = (str(video), identity, found_with)
    row = store.database.execute(PROGRESS, key).fetchone()
    if row is not None:
        return VideoProgress(row[0], bool(row[1]))
    store.forget_video(str(video))
    with store.database:
        store.database.execute("INSERT OR REPLACE INTO videos VALUES (?, ?, ?, 0, 0)", key)
    return VideoProgress(0, False)


def add(store: EventStore, video: Path, identity: str, part: VideoPart, now: float) -> bool:
    """Store a part that follows what is there, at `now` (unix, s); False where it does not, as it is there already."""
    database = store.database
    with database:
        condition = "path = ? AND identity = ? AND frames = ? AND NOT done"
        update = f"UPDATE videos SET frames = ?, done = ? WHERE {condition}"
        values = (part.following, part.ended, str(video), identity, part.first)
        if database.execute(update, values).rowcount != 1:
            return False
        write_steps(database, (KeptStep(event.payload, now, str(video)) for event in part.found))
        for event in part.found:
            _add_tube_and_picture(store, database, event)
    return True


def _add_tube_and_picture(store: EventStore, database: sqlite3.Connection, event: IndexedEvent) -> None:
    """As part of a transaction; a picture that finds no space is left out, one without an event is removed later."""
    event_id = event.payload["event_id"]
    if event.points:
        add_packed(database, event_id, event.points)
    if not event.picture:
        return
    try:
        check_space(store.folder, len(event.picture))
    except OSError:
        return
    path = store.media(event_id, PICTURE)
    files.write_atomically(path, event.picture)
    path.chmod(0o600)
    name_media(database, event_id, PICTURE, len(event.picture))
