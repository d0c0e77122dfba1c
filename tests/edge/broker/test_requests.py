"""Requests: what is read, what is answered, and where."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.requests import MAX_REQUEST_BYTES, OPS, PIECE, Request, answer
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig
from tests.support.fake_request_handler import FakeRequestHandler

TOPICS = Topics("korsal", "roof")
OPEN = MqttConfig(allow_remote_config=True, allow_camera_switch=True, snapshots=True)


def ask(
    op: str, payload: object = None, handler: FakeRequestHandler | None = None, settings: MqttConfig = OPEN, **more: Any
) -> Any:
    """The response as JSON."""
    text = payload if isinstance(payload, bytes) else b"" if payload is None else json.dumps(payload).encode()
    given_answer = answer(Request(op, text, **more), handler or FakeRequestHandler(), TOPICS, settings)
    found = json.loads(given_answer.payload)
    assert list(found) == ["status", "data", "error", "transaction"]
    assert (found["status"] == "ok") == (found["error"] is None)
    return found


@pytest.mark.parametrize(
    ("op", "payload", "asked", "data"),
    [
        ("health", None, "health", {"fps": {"door": 25.0}}),
        ("health", {}, "health", {"fps": {"door": 25.0}}),
        ("reload", {"data": None}, "reload", None),
        ("config-get", {"transaction": 1}, "configuration", {"log": {"level": "info"}}),
        ("config-set", {"data": {"log": {"level": "debug"}}}, {"log": {"level": "debug"}}, None),
        ("snapshot", {"data": {"camera": "door"}}, "door", None),
        (
            "camera",
            {"data": {"camera": "door", "enabled": False}},
            ("door", False),
            {"camera": "door", "enabled": False, "kept": True},
        ),
        ("clips", None, ("clips", ""), {"clips": [], "more": False}),
        ("clips", {"data": {"after": "doubt-a"}}, ("clips", "doubt-a"), {"clips": [], "more": False}),
        (
            "clip",
            {"data": {"name": "doubt-a", "offset": 7}},
            ("doubt-a", 7, PIECE),
            {"name": "doubt-a", "bytes": 0, "offset": 7, "content": ""},
        ),
    ],
)
def test_each_request_is_carried_out(op: str, payload: object, asked: object, data: object) -> None:
    handler = FakeRequestHandler()
    found = ask(op, payload, handler)
    assert handler.asked == [asked]
    assert (found["status"], found["data"], found["error"]) == ("ok", data, None)


@pytest.mark.parametrize("transaction", ["abc", "", 7, -1.5, True, False, None, "ä€😀", 2**60])
def test_the_transaction_comes_back_as_it_was(transaction: object) -> None:
    assert ask("health", {"transaction": transaction})["transaction"] == transaction


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"no JSON", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'{"transaction": NaN}', "not JSON"),
        (b"[1]", "a request is an object"),
        (b'"health"', "a request is an object"),
        (b'{"transaction": 1e999}', "transaction should be"),
        (b'{"transaction": "\\ud800"}', "transaction should be"),
        (b'{"transaction": [1]}', "transaction should be"),
        (b'{"transaction": "' + b"x" * 300 + b'"}', "transaction should be"),
        (b'{"tranaction": 1}', "unknown key tranaction"),
        (None, "too large"),
    ],
)
def test_an_invalid_request_gets_an_error_message(payload: bytes | None, error: str) -> None:
    handler = FakeRequestHandler()
    found = json.loads(answer(Request("health", payload), handler, TOPICS, OPEN).payload)
    assert found["status"] == "error"
    assert error in found["error"]
    assert handler.asked == []


@pytest.mark.parametrize(
    ("op", "payload", "settings", "error"),
    [
        ("helth", {}, OPEN, "unknown request helth; did you mean health?"),
        ("a/b#", {}, OPEN, "unknown request a/b#; known: health"),
        ("config-set", {"data": {"log": {}}}, MqttConfig(), "set [mqtt] allow_remote_config = true"),
        ("config-set", {}, OPEN, "nothing to change"),
        ("config-set", {"data": []}, OPEN, "nothing to change"),
        ("config-set", {"data": {}}, OPEN, "nothing to change"),
        ("snapshot", {"data": {"camera": "door"}}, MqttConfig(), "set [mqtt] snapshots = true"),
        ("snapshot", {}, OPEN, "which camera?"),
        ("snapshot", {"data": {"camera": 3}}, OPEN, "which camera?"),
        (
            "camera",
            {"data": {"camera": "door", "enabled": True}},
            MqttConfig(),
            "set [mqtt] allow_camera_switch = true",
        ),
        (
            "camera",
            {"data": {"camera": "door", "enabled": False}},
            MqttConfig(allow_remote_config=True),
            "switching cameras is not allowed",
        ),
        ("camera", {"data": {"camera": "door"}}, OPEN, "which camera, on or off?"),
        ("camera", {"data": {"camera": "door", "enabled": 0}}, OPEN, "which camera, on or off?"),
        ("camera", {"data": {"camera": None, "enabled": False}}, OPEN, "which camera, on or off?"),
        ("camera", {"data": ["door", False]}, OPEN, "which camera, on or off?"),
        ("clips", {"data": {"after": 3}}, OPEN, "after which clip?"),
        ("clip", None, OPEN, "which clip, from which byte on?"),
        ("clip", {"data": {"name": "a", "offset": -1}}, OPEN, "which clip, from which byte on?"),
        ("clip", {"data": {"name": "a", "offset": True}}, OPEN, "which clip, from which byte on?"),
        ("clip", {"data": {"name": "a", "length": 0}}, OPEN, "which clip, from which byte on?"),
        ("clip", {"data": {"name": "a", "offset": 2**70}}, OPEN, "which clip, from which byte on?"),
    ],
)
def test_an_impossible_request_gets_an_error_message_and_no_effect(
    op: str, payload: object, settings: MqttConfig, error: str
) -> None:
    handler = FakeRequestHandler()
    found = ask(op, payload, handler, settings)
    assert error in found["error"]
    assert handler.asked == []


def test_problems_of_the_request_handler_are_the_error() -> None:
    wrong = FakeRequestHandler(["log.level: should be 'debug'", "linker.fade: should be a number"])
    assert ask("reload", handler=wrong)["error"] == "log.level: should be 'debug'; linker.fade: should be a number"
    assert ask("config-set", {"data": {"log": {"level": 1}}}, wrong)["status"] == "error"
    assert ask("snapshot", {"data": {"camera": "roof"}})["error"] == "no camera roof; known: door"


def test_half_characters_in_a_problem_harm_nobody() -> None:
    assert ask("reload", handler=FakeRequestHandler(["\ud800 is no name"]))["error"] == "? is no name"


def test_retained_requests_are_ignored_with_an_error() -> None:
    handler = FakeRequestHandler()
    assert "retained requests are ignored" in ask("reload", handler=handler, retained=True)["error"]
    assert handler.asked == []


@pytest.mark.parametrize(
    ("wanted", "topic"),
    [
        (None, "korsal/roof/response/health"),
        ("my/answers/7", "my/answers/7"),
        ("korsal/roof/response/health/7", "korsal/roof/response/health/7"),
        ("korsal/roof/door/actions/Dunk", "korsal/roof/response/health"),  # an event of ours
        ("korsal/cellar/available", "korsal/roof/response/health"),  # another device
        ("korsal", "korsal/roof/response/health"),
        ("homeassistant/device/x/config", "korsal/roof/response/health"),
        ("a/+/b", "korsal/roof/response/health"),
        ("a/#", "korsal/roof/response/health"),
        ("$SYS/broker", "korsal/roof/response/health"),
        ("", "korsal/roof/response/health"),
        ("a\0b", "korsal/roof/response/health"),
        ("x" * 600, "korsal/roof/response/health"),
        ("a" + "/a" * 31, "a" + "/a" * 31),
        ("a" + "/a" * 32, "korsal/roof/response/health"),  # brokers may hang up on who publishes so deep
    ],
)
def test_the_answer_goes_where_the_asker_wants_unless_that_could_deceive(wanted: str | None, topic: str) -> None:
    found = answer(
        Request("health", b"", response_topic=wanted, correlation=b"\0\1"), FakeRequestHandler(), TOPICS, OPEN
    )
    assert (found.topic, found.correlation) == (topic, b"\0\1")


def test_the_topic_of_an_unknown_request_is_safe() -> None:
    assert answer(Request("a/+#", b""), FakeRequestHandler(), TOPICS, OPEN).topic == "korsal/roof/response/a%2F%2B%23"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
bodies = st.binary(max_size=200) | st.dictionaries(
    st.sampled_from(["transaction", "data", "x"]), json_values, max_size=3
).map(lambda body: json.dumps(body).encode())


@given(st.sampled_from(OPS) | st.text(max_size=20), st.none() | bodies, st.booleans(), st.none() | st.text())
def test_any_request_is_answered(op: str, payload: bytes | None, retained: bool, wanted: str | None) -> None:
    found = answer(Request(op, payload, retained, wanted), FakeRequestHandler(), TOPICS, OPEN)
    assert json.loads(found.payload)["status"] in ("ok", "error")
    assert len(found.payload) < MAX_REQUEST_BYTES
    assert not set("+#\0") & set(found.topic)


def test_what_is_text_in_any_encoding_is_answered() -> None:
    for encoding in ("utf-16", "latin-1"):
        assert ask("health", '{"transaction": "ä"}'.encode(encoding))["status"] == "error"
