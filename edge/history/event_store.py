"""Events kept in SQLite, their pictures and clips in files beside it: written, bounded, and found again. Shell."""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import files
from edge.broker.outbox_recovery import move_aside
from edge.broker.payload import interrupted
from edge.history import store_tables, tube_points
from edge.history.store_files import CLIP, PICTURE, check_space, media_folder
from edge.history.store_tables import UNREADABLE
from edge.history.tube_points import TubePoint
from edge.sensors import clock

ORPHAN_SECONDS = 3600.0  # since a file was written that no event names; a younger one may be about to be named
INSERT = (
    "INSERT INTO events (event_id, camera, action, score, kept, told, ended, video, payload, data_bytes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO UPDATE SET score = excluded.score, "
    "told = excluded.told, ended = excluded.ended, payload = excluded.payload WHERE NOT events.ended"
)
ADD_POINTS = (
    "INSERT INTO tubes SELECT events.number, coalesce((SELECT max(part) FROM tubes WHERE number = events.number), -1) "
    "+ 1, ? FROM events WHERE event_id = ?"
)
COUNT_POINTS = "UPDATE events SET data_bytes = data_bytes + ? WHERE event_id = ?"
USAGE = (
    "SELECT count(*), coalesce(sum(data_bytes + picture_bytes + clip_bytes), 0), coalesce(sum(clip_bytes > 0), 0) "
    "FROM events"
)
BATCH = 100  # events that are deleted before it is looked again


@dataclass(frozen=True)
class StoreLimits:
    """What is kept at most: `age` in seconds since an event was first stored, `size` in bytes, `count` in events."""

    age: float
    size: int
    count: int


@dataclass(frozen=True)
class KeptStep:
    """One step of an event. `payload`: as published; `at`: unix time, s; `video`: that it was found in, None: live."""

    payload: Mapping[str, Any]
    at: float
    video: str | None = None


@dataclass(frozen=True)
class StoreUsage:
    """How full the store is."""

    events: int
    size: int  # bytes: pictures, clips, tubes and what was told
    clips: int


class EventStore:
    """The open store, for one thread. Its methods raise UNREADABLE and OSError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; a damaged one is moved aside (`moved` says where to). Raises StoreError too."""
        self.path, self.moved = path, None
        try:
            self._database = store_tables.connect(path)
        except UNREADABLE as error:
            if store_tables.is_refusal(error):
                raise
            self.moved = move_aside(path)
            self._database = store_tables.connect(path)
        self.folder = media_folder(path)
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def write(self, steps: Iterable[KeptStep], points: Mapping[str, Sequence[TubePoint]]) -> None:
        """Store steps and points of tubes, all in one transaction."""
        with self._database:
            write_steps(self._database, steps)
            write_points(self._database, points)

    def write_media(self, event_id: str, suffix: str, content: bytes, start: float | None = None) -> bool:
        """Store a picture or clip, whole or not at all; False where there is no such event any more.

        `start`: of a clip, seconds from the event's start, mostly negative. OSError where the disk is nearly full.
        """
        if not self._database.execute("SELECT 1 FROM events WHERE event_id = ?", (event_id,)).fetchone():
            return False
        check_space(self.folder, len(content))
        path = self.media(event_id, suffix)
        files.write_atomically(path, content)
        path.chmod(0o600)
        with self._database:
            name_media(self._database, event_id, suffix, len(content), start)
        return True

    def media(self, event_id: str, suffix: str) -> Path:
        """Where an event's picture or clip is, if there is one."""
        return self.folder / f"{event_id}{suffix}"

    def end_interrupted(self, now: float) -> int:
        """End the cameras' events that a crash left open at `now` (unix, s); how many there were."""
        found = self._database.execute("SELECT event_id, payload FROM events WHERE NOT ended AND video IS NULL")
        left = found.fetchall()
        with self._database:
            for event_id, text in left:
                payload = text
                with suppress(ValueError, OverflowError, RecursionError):
                    payload = json.dumps(interrupted(json.loads(text), now))
                statement = "UPDATE events SET ended = 1, payload = ? WHERE event_id = ?"
                self._database.execute(statement, (payload, event_id))
        return len(left)

    def forget_video(self, video: str) -> None:
        """Delete what was found in a video."""
        self._drop("video = ?", (video,))

    def prune(self, limits: StoreLimits, now: float | None) -> None:
        """Delete what is beyond the limits: the oldest events, and of too many bytes their clips and pictures first.

        `now`: unix time, s; None where the clock is not to be trusted: then nothing is too old, nor is ever what was
        stored before the clock was set.
        """
        if now is not None:
            self._drop("kept BETWEEN ? AND ? AND ended", (clock.EARLIEST, now - limits.age))
        self._drop("number <= (SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?)", (limits.count,))
        excess = self.usage().size - limits.size
        if excess <= 0:
            return
        while excess > 0 and (
            oldest := self._oldest("picture_bytes + clip_bytes", " WHERE picture_bytes + clip_bytes > 0")
        ):
            chosen = _until(oldest, excess)
            self._forget_media([event_id for event_id, _ in chosen])
            excess -= sum(size for _, size in chosen)
        while excess > 0 and (oldest := self._oldest("data_bytes")):
            chosen = _until(oldest, excess)
            for event_id, _ in chosen:
                self._drop("event_id = ?", (event_id,))
            excess -= sum(size for _, size in chosen)

    def usage(self) -> StoreUsage:
        """How full it is."""
        return StoreUsage(*self._database.execute(USAGE).fetchone())

    def remove_orphans(self, now: float) -> int:
        """Delete files that no event names, as a power cut leaves them; how many there were. `now`: unix time, s."""
        known = {row[0] for row in self._database.execute("SELECT event_id FROM events")}
        removed = 0
        for path in self.folder.iterdir():
            with suppress(OSError):
                named = path.suffix in (PICTURE, CLIP) and path.stem in known
                if not named and now - path.stat().st_mtime > ORPHAN_SECONDS:
                    path.unlink()
                    removed += 1
        return removed

    @property
    def database(self) -> sqlite3.Connection:
        """The connection, for what belongs into one transaction with other tables."""
        return self._database

    def _oldest(self, size: str, condition: str = "") -> list[tuple[str, int]]:
        """Some events and their sizes, the oldest first; `size`: an expression."""
        query = f"SELECT event_id, {size} FROM events{condition} ORDER BY number LIMIT {BATCH}"
        return self._database.execute(query).fetchall()

    def _drop(self, condition: str, values: Sequence[object]) -> None:
        """Delete events with all that belongs to them, files first: a row without its file is only half a loss."""
        chosen = self._database.execute(f"SELECT event_id FROM events WHERE {condition}", values).fetchall()
        if not chosen:
            return
        self._forget_media([row[0] for row in chosen])
        with self._database:
            for row in chosen:
                self._database.execute(
                    "DELETE FROM tubes WHERE number = (SELECT number FROM events WHERE event_id = ?)", row
                )
                self._database.execute("DELETE FROM events WHERE event_id = ?", row)
                self._database.execute("DELETE FROM judgements WHERE event_id = ?", row)

    def _forget_media(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            for suffix in (PICTURE, CLIP):
                self.media(event_id, suffix).unlink(missing_ok=True)
        with self._database:
            for event_id in event_ids:
                statement = "UPDATE events SET picture_bytes = 0, clip_bytes = 0 WHERE event_id = ?"
                self._database.execute(statement, (event_id,))


def _until(oldest: Sequence[tuple[str, int]], size: int) -> list[tuple[str, int]]:
    """The first of these that are as large as `size` together, or all."""
    chosen: list[tuple[str, int]] = []
    for one in oldest:
        if sum(bytes_ for _, bytes_ in chosen) >= size:
            break
        chosen.append(one)
    return chosen


def write_steps(database: sqlite3.Connection, steps: Iterable[KeptStep]) -> None:
    """Store steps of events, as part of a transaction; nothing changes an event that has ended."""
    for step in steps:
        payload, ended = step.payload, step.payload["type"] == "end"
        row = (payload["event_id"], payload["camera"], payload["action"], payload["top_score"], step.at, step.at)
        text = json.dumps(payload, ensure_ascii=False)
        database.execute(INSERT, (*row, ended, step.video, text, len(text)))


def write_points(database: sqlite3.Connection, points: Mapping[str, Sequence[TubePoint]]) -> None:
    """Add to the tubes of events, as part of a transaction."""
    for event_id, of_event in points.items():
        if of_event:
            add_packed(database, event_id, tube_points.packed(of_event))


def add_packed(database: sqlite3.Connection, event_id: str, points: bytes) -> None:
    """Add packed points to the tube of an event, as part of a transaction."""
    database.execute(ADD_POINTS, (points, event_id))
    database.execute(COUNT_POINTS, (len(points), event_id))


def name_media(database: sqlite3.Connection, event_id: str, suffix: str, size: int, start: float | None = None) -> None:
    """Note that an event has a picture or clip of so many bytes, as part of a transaction."""
    if suffix == PICTURE:
        database.execute("UPDATE events SET picture_bytes = ? WHERE event_id = ?", (size, event_id))
    else:
        statement = "UPDATE events SET clip_bytes = ?, clip_start = ? WHERE event_id = ?"
        database.execute(statement, (size, start, event_id))


def trusted_now(clock_synced: bool | None, jumped_at: float | None) -> float | None:
    """The unix time by which events grow old, s; None within an hour of a jump, or before a time server has set it.

    `jumped_at`: monotonic time of the clock's last jump, s, None for none.
    """
    recently = jumped_at is not None and time.monotonic() - jumped_at < ORPHAN_SECONDS
    return None if recently or clock_synced is False else time.time()
