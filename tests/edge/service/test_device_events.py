import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge.broker.payload import end_interrupted, iso_time
from edge.broker.topics import Topics
from edge.sensors.thermal import ThermalSettings, share_to_skip
from edge.service.device_events import ClockReading, ThermalState, close, initial, message, step
from tests.support.paths import ROOT

SCHEMA = json.loads((ROOT / "docs" / "device-event.schema.json").read_text())
TOPICS = Topics("korsal", "roof")
TODAY = 1_800_000_000.0
validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def at(second: float, wall: float = TODAY) -> ClockReading:
    return ClockReading(wall + second, 500.0 + second, clock_synced=True)


def hot(skipped: float, celsius: float | None = 91.0) -> ThermalState:
    return ThermalState(skipped, 90.0, None if celsius is None else "tj", celsius)


def payloads_of(story: list[tuple[float, ThermalState]], closed: bool = False, wall: float = TODAY) -> list[Any]:
    """The payloads of what was seen at those seconds."""
    state, payloads = initial("roof", "seed"), []
    for second, heat in story:
        state, payload = step(state, heat, at(second, wall))
        payloads.append(payload)
    if closed:
        payloads.append(close(state, story[-1][1], at(story[-1][0] + 1, wall))[1])
    found = [payload for payload in payloads if payload is not None]
    for payload in found:
        validator.validate(dict(payload))
    return found


def steps_of(payloads: list[Any]) -> list[tuple[str, int, float]]:
    return [(payload["type"], payload["seq"], payload["skipped"]) for payload in payloads]


def test_the_schema_is_a_schema_and_describes_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    (new,) = payloads_of([(0, hot(0.2))])
    assert set(new) == set(SCHEMA["properties"]) == set(SCHEMA["required"])


def test_while_it_is_cool_nothing_is_reported() -> None:
    assert payloads_of([(second, hot(0.0, 50.0)) for second in range(5)], closed=True) == []


def test_heat_that_comes_grows_and_goes() -> None:
    new, update, end = payloads_of([(0, hot(0.2)), (5, hot(0.3, 95.0)), (11, hot(0.3, 93.0)), (20, hot(0.0, 84.0))])
    assert steps_of([new, update, end]) == [("new", 0, 0.2), ("update", 1, 0.3), ("end", 2, 0.0)]
    assert (end["duration"], end["reason_ended"]) == (20, "cooled")
    assert (end["started"], end["ended"]) == (iso_time(TODAY), iso_time(TODAY + 20))
    assert (end["temperature_c"], end["top_temperature_c"], end["sensor"]) == (84.0, 95.0, "tj")
    assert new["event_id"] == update["event_id"] == end["event_id"]


def test_it_is_reported_at_most_every_ten_seconds() -> None:
    assert len(payloads_of([(float(second), hot(0.2, 91.0 + second)) for second in range(31)])) == 1  # the share stays
    story = [(float(second), hot(0.2 + 0.05 * (second % 3))) for second in range(31)]
    assert [payload["t_publish"] - TODAY for payload in payloads_of(story)] == [0, 10, 20, 30]


def test_it_ends_when_the_sensors_or_the_program_stop() -> None:
    assert payloads_of([(0, hot(0.2)), (1, hot(0.0, None))])[-1]["reason_ended"] == "unknown"
    assert payloads_of([(0, hot(0.2)), (1, hot(0.2))], closed=True)[-1]["reason_ended"] == "shutdown"


def test_the_next_heat_is_another_event() -> None:
    payloads = payloads_of([(0, hot(0.2)), (1, hot(0.0)), (2, hot(0.2)), (3, hot(0.0))])
    assert len({payload["event_id"] for payload in payloads}) == 2
    assert [payload["seq"] for payload in payloads] == [0, 1, 0, 1]


def test_a_clock_that_is_set_in_the_midst_stretches_nothing() -> None:
    state, _ = step(initial("roof", "seed"), hot(0.2), at(0, wall=0.0))
    _, end = step(state, hot(0.0), at(60, wall=TODAY))
    assert end is not None
    assert (end["started"], end["ended"], end["duration"]) == (iso_time(TODAY), iso_time(TODAY + 60), 60)


def test_its_messages_use_the_outbox_and_a_crash_ends_them() -> None:
    _, new = step(initial("roof", "seed"), hot(0.2), at(0))
    assert new is not None
    sent = message(new, TOPICS, TODAY + 100)
    assert (sent.topic, sent.type, sent.seq) == ("korsal/roof/events/thermal", "new", 0)
    (end,) = end_interrupted([sent], TODAY + 500, TODAY + 900).ends
    payload = json.loads(end.payload)
    validator.validate(payload)
    assert (payload["reason_ended"], payload["seq"], payload["ended"]) == ("interrupted", 1, iso_time(TODAY))


@given(st.lists(st.one_of(st.none(), st.floats(60, 120)), max_size=40), st.booleans())
def test_events_are_whole_at_any_temperature(temperatures: list[float | None], closed: bool) -> None:
    settings, share, story = ThermalSettings(90.0), 0.0, []
    for second, celsius in enumerate(temperatures):
        share = share_to_skip(share, celsius, settings)
        story.append((second * 3.0, hot(share, celsius)))
    lives: dict[str, list[Any]] = {}
    for payload in payloads_of(story, closed and bool(story)):
        lives.setdefault(payload["event_id"], []).append(payload)
    for number, life in enumerate(lives.values(), 1):
        assert [payload["seq"] for payload in life] == list(range(len(life)))
        assert life[0]["type"] == "new"
        ends = [payload["type"] == "end" for payload in life]
        assert not any(ends[:-1])
        assert ends[-1] or (number == len(lives) and not closed)
