"""Stories of the people in front of one camera, ten frames a second, and the events published of them."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from edge.event_settings import ActionSettings, EventSettings
from edge.events import close, initial, step
from tests.support.people import LABELS, frame, tube_box

QUICK = ActionSettings(start_score=0.5, keep_score=0.3, min_duration=0.0, cooldown=0.0, update_interval=0.0)


def quick(**settings: Any) -> Any:
    return EventSettings(default=replace(QUICK, **settings))


def events_of(story: Any, settings: Any, seed: str = "seed", closed: bool = True) -> Any:
    """The events of a story, a list of tube boxes for each frame; `closed`: the program stops after the last."""
    state, published = initial("door", seed), list[Any]()
    for index, tube_boxes in enumerate(story):
        state, events = step(state, tube_boxes, frame(index), LABELS, settings)
        published += events
    return published + list(close(state, frame(len(story)).unix_time, "shutdown") if closed else ())


def one_runner(*scores: Any, **kwargs: Any) -> Any:
    """One person, one frame per score of Run."""
    return [[tube_box(run=score, **kwargs)] for score in scores]


def brief(events: Any) -> Any:
    return [(event.type, event.frame_index) for event in events]


LEVELS = st.sampled_from([0.0, 0.29, 0.3, 0.49, 0.5, 0.8, 1.0])
BOXES = st.sampled_from([(100, 50, 140, 150), (-30, -20, 50, 60), (300, 200, 400, 260), (500, 500, 600, 600)])
people = st.builds(tube_box, st.integers(1, 3), run=LEVELS, jump=LEVELS, box=BOXES, observed=st.booleans())
stories = st.lists(st.lists(people, max_size=2, unique_by=lambda one: one.tube), max_size=15)
some_settings = st.builds(
    quick,
    keep_score=st.sampled_from([0.0, 0.3, 0.5]),
    min_duration=st.sampled_from([0.0, 0.2]),
    cooldown=st.sampled_from([0.0, 0.3, 9.0]),
    update_interval=st.sampled_from([0.0, 0.1, 0.5]),
)
