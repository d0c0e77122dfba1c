"""`korsal-edge events ID --wrong`: puts the clip of an event that is wrong among those to teach with. Shell."""

from datetime import datetime
from pathlib import Path

from edge.commands.events import EventsError, no_clip
from edge.history import doubts, search, teaching_clips
from edge.history.search import FoundEvent

STORE_ENDING = ".history.sqlite"
DIGITS = 8  # of an event's id that go into a name


def mark_wrong(store: Path, event_id: str) -> int:
    """Copy its clip and what it was, and print where; the exit status. Raises StoreError, EventsError."""
    event = search.find_one(store, event_id)
    if event.video is not None:
        raise EventsError(f"event {event.event_id} is of {event.video}: put that video into the project itself")
    if event.clip is None:
        raise EventsError(no_clip(event))
    folder = teaching_clips.teaching_folder(store.parent, store.name.removesuffix(STORE_ENDING))
    try:
        written = teaching_clips.write(folder, _name(event), _facts(event), event.clip.read_bytes())
    except OSError as error:
        place = error.filename or folder
        raise EventsError(f"{place}: cannot be copied ({error.strerror or error}): free its disk") from error
    print(written)
    return 0


def _started(event: FoundEvent) -> float:
    return datetime.fromisoformat(str(event.payload["started"]).replace("Z", "+00:00")).timestamp()


def _name(event: FoundEvent) -> str:
    """As those of doubts; the same for the same event, so that marking it twice makes one clip."""
    number = int(event.event_id[:DIGITS], 16)
    return f"{doubts.PREFIX}{event.camera}-{_started(event):.0f}-{number}-0-0"


def _facts(event: FoundEvent) -> dict[str, object]:
    return {
        "camera": event.camera,
        "action": event.action,
        "reason": "marked",
        "score": round(event.score, 4),
        "started": _started(event),
        "seconds": event.payload.get("duration"),
        "clip_start": round(event.clip_start, 3),
        "event_id": event.event_id,
    }
