"""The flat JSON of events, held to its schema."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge.broker.payload import ModelIdentity, event_payload, interrupted, iso_time
from edge.broker.topics import encode
from edge.event_settings import ActionSettings, EventSettings
from edge.events import Event, close, initial, step
from edge.zones import Zone
from tests.support.paths import ROOT
from tests.support.people import LABELS, frame, tube_box

SCHEMA = json.loads((ROOT / "docs" / "event.schema.json").read_text())
MODEL = ModelIdentity("korsal-ucf24", "ab" * 32)
SETTINGS = EventSettings(
    default=ActionSettings(min_duration=0.0, update_interval=0.1),
    zones={"hoop": Zone(((0, 0), (1, 0), (1, 1), (0, 1)))},
)

validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def story() -> Any:
    """The three kinds of event, of a person in a frame of 320 × 240."""
    state, published = initial("door", "seed"), list[Any]()
    for index in range(2):
        state, events = step(state, [tube_box(run=0.9)], frame(index), LABELS, SETTINGS)
        published += events
    return [*published, *close(state, frame(2).unix_time, "shutdown")]


def payloads(**keys: Any) -> Any:
    return [event_payload(e, "lab", "door", MODEL, e.t_capture + 0.0421, **keys) for e in story()]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_event_is_valid() -> None:
    assert [payload["type"] for payload in payloads()] == ["new", "update", "end"]
    for payload in [*payloads(), *payloads(snapshot_topic="korsal/lab/door/snapshot/Run")]:
        validator.validate(payload)
        validator.validate(json.loads(json.dumps(payload, allow_nan=False)))


def test_the_numbers() -> None:
    new, _, end = payloads()
    assert new["box"] == [0.3125, 0.20833, 0.4375, 0.625]  # 100/320, 50/240, 140/320, 150/240
    assert new["box_px"] == [100, 50, 140, 150]
    assert (new["frame_size"], new["zones"], new["seq"]) == ([320, 240], ["hoop"], 0)
    assert new["latency_ms"] == 42.1
    assert new["started"] == "2023-11-14T22:13:20.000Z"
    assert (end["ended"], end["duration"], end["reason_ended"]) == ("2023-11-14T22:13:20.100Z", 0.1, "shutdown")
    assert new["event_type"] == new["type"]


@pytest.mark.parametrize("known", [True, False, None])
def test_the_payload_states_whether_the_clock_was_set(known: bool) -> None:
    for payload in payloads(clock_synced=known):
        assert payload["clock_synced"] is known
        validator.validate(payload)


def test_every_key_is_described_and_required() -> None:
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(payloads()[0])
    assert all("description" in described for described in SCHEMA["properties"].values())


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_a_payload_that_lacks_a_key_is_invalid(key: str) -> None:
    payload = payloads()[0]
    del payload[key]
    assert not validator.is_valid(payload)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},  # an unknown key
        {"schema": 2},
        {"type": "began"},
        {"type": "end"},  # an end without its time, and another word than event_type
        {"event_type": "update"},
        {"event_id": "7"},
        {"seq": 1},  # of a new
        {"seq": -1},
        {"seq": "0"},
        {"camera": ""},
        {"score": 1.1},
        {"score": None},
        {"started": "yesterday"},
        {"started": "2023-11-14T22:13:20.000+01:00"},
        {"started": "2023-13-14T22:13:20.000Z"},
        {"ended": "2023-11-14T22:13:20.000Z"},  # of a new
        {"duration": -1},
        {"box": [0, 0, 1]},
        {"box": [0, 0, 1, 1.5]},
        {"box_px": [-1, 0, 1, 1]},
        {"frame_size": [0, 240]},
        {"frame_size": [320.5, 240]},
        {"zones": "hoop"},
        {"observed": 1},
        {"model": {"name": "x"}},
        {"model": {"name": "x", "sha256": "short"}},
        {"reason_ended": "score"},  # of a new
        {"snapshot_topic": 5},
        {"clock_synced": "yes"},
    ],
    ids=json.dumps,
)
def test_a_wrong_payload_is_invalid(wrong: Any) -> None:
    new = payloads()[0]
    assert validator.is_valid(new)
    assert not validator.is_valid({**new, **wrong})


@pytest.mark.parametrize("wrong", [{"ended": None}, {"reason_ended": None}, {"reason_ended": "boredom"}, {"seq": 0}])
def test_a_wrong_end_is_invalid(wrong: Any) -> None:
    end = payloads()[2]
    assert validator.is_valid(end)
    assert not validator.is_valid({**end, **wrong})


def test_a_clock_that_was_set_back_makes_no_negative_latency() -> None:
    payload = event_payload(story()[0], "lab", "door", MODEL, 1_000.0)
    assert payload["latency_ms"] == 0
    validator.validate(payload)


def test_an_interrupted_event_ended_where_it_was_last_detected() -> None:
    _, update, _ = payloads()
    end = interrupted(update, 1_800_000_000.5)
    validator.validate(end)
    assert end["seq"] == 2
    assert (end["ended"], end["reason_ended"]) == ("2023-11-14T22:13:20.100Z", "interrupted")
    assert (end["event_id"], end["duration"]) == (update["event_id"], update["duration"])
    assert (end["t_publish"], end["latency_ms"]) == (1_800_000_000.5, 0)


def test_only_open_events_can_be_interrupted() -> None:
    with pytest.raises(ValueError, match="has ended already"):
        interrupted(payloads()[2], 1_800_000_000.0)
    with pytest.raises(ValueError, match="lacks seq, started or duration"):
        interrupted({"type": "new", "event_id": "x"}, 1_800_000_000.0)


@pytest.mark.parametrize(
    ("unix_time", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.04, "1970-01-01T00:00:00.040Z"),
        (1_700_000_000.9996, "2023-11-14T22:13:21.000Z"),  # rounds up into the next second
    ],
)
def test_times_are_utc_with_milliseconds(unix_time: float, text: str) -> None:
    assert iso_time(unix_time) == text


@given(
    st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 4),
    st.floats(0, 1, width=32),
    st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
)
def test_any_event_of_any_frame_is_valid(box: Any, score: Any, size: Any) -> None:
    settings = EventSettings(default=ActionSettings(start_score=0.0, keep_score=0.0, min_duration=0.0))
    ordered = np.sort(np.array(box, np.float32).reshape(2, 2), axis=0).ravel()
    seen = tube_box(run=score, jump=1 - score, box=ordered)
    _, events = step(initial("door", ""), [seen], frame(0, size=size), LABELS, settings)
    assert events
    for event in events:
        validator.validate(event_payload(event, "lab", "door", MODEL, event.t_capture))


def ends(count: int, fps: float = 25.0) -> list[Event]:
    """The end of an event whose person moves erratically for so many frames."""
    state, published = initial("door", "seed"), list[Event]()
    for index in range(count):
        box = (100.123 + 50.77 * math.sin(index), 50.123, 140.987 + 50.77 * math.sin(index), 150 + 30 * math.cos(index))
        state, events = step(state, [tube_box(run=0.91234567, box=box)], frame(index, fps), LABELS, SETTINGS)
        published += events
    return [*published, *close(state, frame(count, fps).unix_time, "shutdown")]


@pytest.mark.parametrize("count", [1, 2, 64, 65, 5000])
def test_an_end_tells_where_the_person_was_in_bounded_size(count: int) -> None:
    end = ends(count)[-1]
    payload = event_payload(end, "roof", "door", MODEL, end.t_capture)
    validator.validate(payload)
    tube: Any = payload["tube"]
    assert len(encode({"tube": tube})) < 3400
    seconds = [one[0] for one in tube["path"]]
    assert seconds == sorted(seconds)
    assert (seconds[0], seconds[-1]) == (0.0, pytest.approx((count - 1) / 25, abs=0.01))
    assert 0 <= tube["best"]["seconds"] <= payload["duration"]
    assert event_payload(end, "roof", "door", MODEL, end.t_capture, with_path=False)["tube"] is None


def test_an_hour_on_a_large_frame_is_told_in_bounded_size_too() -> None:
    end = replace(ends(5000, fps=5000 / 36_000)[-1], frame_size=(7680, 4320))
    assert len(encode(event_payload(end, "roof", "door", MODEL, end.t_capture))) < 4096


def test_only_an_end_has_a_path_and_all_steps_have_the_tube_s_id() -> None:
    payloads = [event_payload(event, "roof", "door", MODEL, 0.0) for event in ends(10)]
    assert [one["tube"] is None for one in payloads] == [one["type"] != "end" for one in payloads]
    assert len({one["tube_id"] for one in payloads}) == 1


def test_the_end_of_an_event_that_an_older_version_began_is_valid() -> None:
    new = event_payload(ends(1)[0], "roof", "door", MODEL, 0.0)
    old = {key: value for key, value in new.items() if key not in ("tube_id", "tube")}
    for last in (old, new):
        end = interrupted(last, 5.0)
        validator.validate(end)
        assert end["tube"] is None
    assert "tube" not in interrupted(
        {"type": "new", "seq": 0, "started": iso_time(0), "duration": 0, "kind": "thermal"}, 1
    )
