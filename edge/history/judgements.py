"""What somebody says of an event: right, wrong, or another action. Kept in the store, with its clip to teach. Shell.

The daemon may be writing the same store. A judgement takes the place of an earlier one.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from edge.history import search, store_tables, teaching_folder
from edge.history.clip_names import PREFIX
from edge.history.event_listing import no_clip
from edge.history.search import FoundEvent
from edge.history.store_files import device_of
from edge.history.store_tables import UNREADABLE, StoreError
from edge.text import is_visible_line

Verdict = Literal["right", "wrong", "relabelled"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LONGEST_ACTION = 1024  # characters
DIGITS = 8  # of an event's id that go into a name


class JudgementError(Exception):
    """A judgement that cannot be kept; the message says why."""


@dataclass(frozen=True)
class KeptJudgement:
    """`clip`: the copy to teach with; `without`: why there is none, "" where there is one."""

    event: FoundEvent
    clip: Path | None = None
    without: str = ""


def judge(store: Path, event_id: str, verdict: str, action: str = "") -> KeptJudgement:
    """Keep a judgement; `action`: what it was, for `relabelled`. Raises StoreError, JudgementError."""
    if verdict not in VERDICTS:
        raise JudgementError(f"{verdict[:40]!r} is no judgement: give one of {', '.join(VERDICTS)}")
    if verdict == "relabelled" and not (is_visible_line(action) and 0 < len(action.strip()) <= LONGEST_ACTION):
        raise JudgementError("name the action that it was, in one line of visible characters")
    event = search.find_one(store, event_id)
    right = {"right": event.action, "wrong": "", "relabelled": action}[verdict]
    _write(store, event, verdict, right)
    if event.video is not None:
        reason = f"event {event.event_id} is of {event.video}: put that video into the project itself"
        return KeptJudgement(event, without=reason)
    if event.clip is None:
        return KeptJudgement(event, without=no_clip(event))
    return KeptJudgement(event, _copy_clip(store, event, event.clip, verdict, right))


def _write(store: Path, event: FoundEvent, verdict: str, right: str) -> None:
    row = (event.event_id, verdict, right, time.time())
    try:
        with closing(store_tables.connect(store, look_through=False)) as database, database:
            database.execute("INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?)", row)
    except (*UNREADABLE, OSError) as error:
        raise store_tables.unreadable(store, error) from error


def _copy_clip(store: Path, event: FoundEvent, clip: Path, verdict: str, right: str) -> Path:
    folder = teaching_folder.teaching_folder(store.parent, device_of(store))
    facts = {
        "camera": event.camera,
        "action": event.action,
        "reason": "marked",
        "verdict": verdict,
        "right_action": right or None,
        "score": round(event.score, 4),
        "started": _started(event),
        "seconds": event.payload.get("duration"),
        "clip_start": round(event.clip_start, 3),
        "event_id": event.event_id,
    }
    try:
        return teaching_folder.write(folder, _name(event), facts, clip.read_bytes())
    except OSError as error:
        place = error.filename or folder
        raise JudgementError(f"{place}: cannot be copied ({error.strerror or error}): free its disk") from error


def _started(event: FoundEvent) -> float:
    return datetime.fromisoformat(str(event.payload["started"]).replace("Z", "+00:00")).timestamp()


def _name(event: FoundEvent) -> str:
    """As those of doubts; the same for the same event, so that judging it twice makes one clip."""
    try:
        number = int(event.event_id[:DIGITS], 16)
    except ValueError:
        raise StoreError(f"event {event.event_id}: has no id of ours") from None
    return f"{PREFIX}{event.camera}-{_started(event):.0f}-{number}-0-0"
