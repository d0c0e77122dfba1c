from edge.broker.message import Message
from edge.broker.outbox_events import EventStates
from edge.broker.outbox_file import Change
from edge.broker.outbox_totals import Totals


def step(event_id: str, seq: int, kind: str) -> Message:
    return Message("t", b"{}", event_id, seq, kind)


def test_an_event_is_open_from_its_first_step_to_its_end() -> None:
    events = EventStates()
    events.received([step("a", 0, "new"), step("b", 0, "new"), step("b", 1, "end")], in_memory=False)
    assert (events.open, events.ended) == ({"a"}, set())
    events.received([step("a", 1, "end")], in_memory=True)
    assert (events.open, events.ended) == (set(), {"a"})


def test_the_later_steps_of_a_dropped_event_are_dropped_to_its_end() -> None:
    events = EventStates()
    events.received([step("a", 0, "new"), step("b", 0, "new")], in_memory=False)
    events.changed(Change(Totals(), dropped_open=frozenset({"a"})))
    assert events.open == {"b"}
    later = [step("a", 1, "update"), step("b", 1, "update"), step("a", 2, "end")]
    assert events.without_dropped(later) == [step("b", 1, "update")]
    assert events.without_dropped(later) == [step("b", 1, "update")]  # asking changes nothing
    events.received(later, in_memory=True)
    assert (events.open, events.ended) == ({"b"}, set())
    assert events.without_dropped([step("a", 3, "new")]) == [step("a", 3, "new")]


def test_an_event_is_published_from_its_first_accepted_step_until_its_end_has_left() -> None:
    events = EventStates()
    events.changed(Change(Totals(), published=frozenset({"a", "b"})))
    events.changed(Change(Totals(), ended=frozenset({"a"})))
    assert events.published == {"b"}
