"""Finds events in the store, while the daemon may be writing it. Shell; raises StoreError."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.history import store_tables, tube_points
from edge.history.store_files import CLIP, PICTURE, media_folder
from edge.history.store_tables import UNREADABLE, StoreError
from edge.history.tube_points import TubePoint

SHORTEST_ID = 4  # characters of an event's id by which it may be named
COLUMNS = (
    "event_id, camera, action, score, told, ended, video, payload, picture_bytes, clip_bytes, clip_start, number, "
    "coalesce(verdict, ''), coalesce(right_action, '')"
)
FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None and "" leave nothing out.

    `since`: unix time, s, of an event's last step; `before`: older than the event of this number; `newest`: so many.
    `live`: in front of a camera, in no video.
    """

    action: str | None = None
    camera: str | None = None
    since: float | None = None
    min_score: float = 0.0
    id_prefix: str = ""
    videos: tuple[str, ...] | None = None
    before: int | None = None
    newest: int | None = None
    live: bool = False


@dataclass(frozen=True)
class FoundEvent:
    """An event of the store. `payload`: its last step, as published; `video`: the file it was found in, None: live.

    `score`: its best; `told`: unix time of its last step, s; `picture`, `clip`: files, None where there is none.
    `clip_start`: seconds from the event's start; `number`: rises from one event to the next. `verdict`: what somebody
    has said of it (`judgements.Verdict`), "" for nothing; `right_action`: which action it was then, "" for none.
    """

    event_id: str
    camera: str
    action: str
    score: float
    told: float
    ended: bool
    video: Path | None
    payload: Mapping[str, Any]
    picture: Path | None
    clip: Path | None
    clip_start: float
    number: int = 0
    verdict: str = ""
    right_action: str = ""


def find(path: Path, wanted: EventFilter) -> list[FoundEvent]:
    """The events that fit, the oldest first."""
    conditions = ["score >= ?", "substr(event_id, 1, ?) = ?"]
    values: list[object] = [wanted.min_score, len(wanted.id_prefix), wanted.id_prefix]
    for column, value in (("action", wanted.action), ("camera", wanted.camera)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if wanted.since is not None:
        conditions.append("(told >= ? OR NOT ended)")
        values.append(wanted.since)
    if wanted.live:
        conditions.append("video IS NULL")
    if wanted.videos is not None:
        conditions.append(f"video IN ({', '.join('?' * len(wanted.videos))})")
        values += wanted.videos
    if wanted.before is not None:
        conditions.append("number < ?")
        values.append(wanted.before)
    values.append(-1 if wanted.newest is None else wanted.newest)  # -1: all
    query = (
        f"SELECT {COLUMNS} FROM events LEFT JOIN judgements USING (event_id) WHERE {' AND '.join(conditions)} "
        "ORDER BY number DESC LIMIT ?"
    )
    rows = _read(path, lambda database: database.execute(query, values).fetchall())
    return [found for row in reversed(rows) if (found := _found(media_folder(path), row)) is not None]


def names(path: Path) -> tuple[list[str], list[str]]:
    """Cameras, or videos, and actions of which the store holds events, in order of the alphabet."""
    query = "SELECT DISTINCT camera, action FROM events"
    pairs = _read(path, lambda database: database.execute(query).fetchall())
    return sorted({camera for camera, _ in pairs}), sorted({action for _, action in pairs})


def find_one(path: Path, event_id: str) -> FoundEvent:
    """The event of this id, of which the first few characters are enough."""
    if len(event_id) < SHORTEST_ID:
        raise StoreError(f"{event_id!r}: give at least {SHORTEST_ID} characters of the event's id")
    found = find(path, EventFilter(id_prefix=event_id))
    if not found:
        raise StoreError(f"{path}: holds no event {event_id}: korsal-edge events lists those that it holds")
    if len(found) > 1:
        raise StoreError(f"{event_id}: {len(found)} events begin so: give more of the id")
    return found[0]


def tube(path: Path, event: FoundEvent) -> tuple[TubePoint, ...]:
    """Box and score of every frame of the event, from its start until the action was last observed."""
    query = "SELECT points FROM tubes JOIN events USING (number) WHERE event_id = ? ORDER BY part"
    parts = _read(path, lambda database: database.execute(query, (event.event_id,)).fetchall())
    points = tube_points.unpacked(b"".join(part for (part,) in parts))
    end = float(event.payload.get("duration", 0.0)) if event.ended else float("inf")
    return tuple(point for point in points if point.seconds <= end + 1e-3)


def _read(path: Path, query: Callable[[sqlite3.Connection], FoundT]) -> FoundT:
    with closing(store_tables.connect_to_read(path)) as database:
        try:
            return query(database)
        except UNREADABLE as error:
            raise store_tables.unreadable(path, error) from error


def _found(folder: Path, row: tuple[Any, ...]) -> FoundEvent | None:
    event_id, camera, action, score, told, ended, video, text, picture, clip, clip_start, number, *said = row
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict) or not {"started", "duration"} <= payload.keys():
        return None  # damaged
    picture_file, clip_file = folder / f"{event_id}{PICTURE}", folder / f"{event_id}{CLIP}"
    return FoundEvent(
        event_id,
        camera,
        action,
        score,
        told,
        bool(ended),
        None if video is None else Path(video),
        payload,
        picture_file if picture and picture_file.is_file() else None,
        clip_file if clip and clip_file.is_file() else None,
        clip_start or 0.0,
        number,
        *said,
    )
