"""An event, whose fields the tests replace with those that they look at."""

from typing import Any

import numpy as np

from edge.events import Event

ANY = Event(
    type="new",
    event_id="a",
    seq=0,
    tube=1,
    tube_id="b",
    action="Dunk",
    score=0.75,
    top_score=0.75,
    started_unix=0.0,
    started_monotonic=0.0,
    ended_unix=None,
    duration=0.0,
    box=np.zeros(4, np.float32),
    frame_size=(320, 240),
    zones=(),
    observed=True,
    frame_index=0,
    t_capture=0.0,
    reason_ended=None,
)


def some_event(box: tuple[float, ...], **fields: Any) -> Event:
    """`box`: x1 y1 x2 y2, pixels."""
    return Event(**{**vars(ANY), "box": np.array(box, np.float32), **fields})
