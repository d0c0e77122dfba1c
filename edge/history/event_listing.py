"""Events of the store as JSON and CSV, for the command line and the live page."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from edge.history.search import FoundEvent
from edge.history.tube_points import TubePoint

CSV_COLUMNS = (
    *("event_id", "camera", "action", "top_score", "started", "ended", "duration", "zones", "reason_ended"),
    *("video", "picture", "clip", "verdict", "right_action"),
)


def as_json(event: FoundEvent) -> dict[str, Any]:
    """The event's last message, where its picture and clip are, and what somebody has said of it."""
    files_of = {"video": event.video, "picture": event.picture, "clip": event.clip}
    said = {"verdict": event.verdict or None, "right_action": event.right_action or None}
    return {**event.payload, **{key: None if path is None else str(path) for key, path in files_of.items()}, **said}


def points_json(points: Iterable[TubePoint]) -> list[list[Any]]:
    """A tube as docs/history.md describes `points`."""
    return [
        [round(one.seconds, 3), one.frame_index, *(round(side, 5) for side in one.box), round(one.score, 4),
         one.observed] for one in points
    ]  # fmt: skip


def csv_text(events: Iterable[Mapping[str, Any]], header: bool = True) -> str:
    """Lines of CSV of events as JSON; `header`: with the columns' names first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    for event in events:
        writer.writerow({**event, "zones": " ".join(event.get("zones") or ())})
    return text.getvalue()


def no_clip(event: FoundEvent) -> str:
    """Why an event has no clip."""
    if not event.ended:
        return f"event {event.event_id} goes on: its clip is written some seconds after its end"
    return (
        f"event {event.event_id} has no clip: clips was off in [history], no encoder was at hand or the disk was full, "
        "as the log said, or it had to make space for newer ones"
    )
