"""All problems of a configuration, and the usable rest of it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.validation import validate

SOUND: dict[str, Any] = {
    "cameras": {
        "door": {"source": "rtsp://h/x", "fps": 5.0, "actions": {"x.y": {"start_score": 0.5}}},
        "film": {"source": "a.mp4"},
    },
    "actions": {"default": {"start_score": 0.5, "keep_score": 0.2}},
    "mqtt": {"host": "h", "username": "u", "password_file": "p"},
    "thermal": {"limit": 80.0, "resume": 70.0},
}


def changed(**values: object) -> dict[str, Any]:
    """SOUND with other values, by their paths with two underscores between."""
    document = copy.deepcopy(SOUND)
    for path, value in values.items():
        *tables, key = path.split("__")
        table = document
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value
    return document


def test_a_valid_configuration_has_no_problems() -> None:
    reported, config, _ = validate(SOUND)
    assert reported == ()
    assert config is not None
    assert config.mqtt.username == "u"


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        # a check between values, beside a wrong value elsewhere
        (changed(thermal__resume=90.0, mqtt__port="x"), ["mqtt.port", "thermal.resume"]),
        # one that was told only because of what was left out is not reported
        (changed(mqtt__username=3), ["mqtt.username"]),
        (
            {"cameras": {"a": {"source": "x"}}, "actions": {"default": {"start_score": "high", "keep_score": 0.9}}},
            ["actions.default.start_score"],
        ),
        # 0.9 of the default is above the 0.5 of door's x.y whatever the default's start score will be
        (
            changed(actions__default={"start_score": "high", "keep_score": 0.9}),
            ["actions.default.start_score", "cameras.door.actions.x.y.keep_score"],
        ),
        # keys of actions in the table of the zones are two zones, and nothing is reported that is not in the file
        (
            changed(cameras__door__zones={"start_score": 0.2, "cooldown": 2.0}),
            ["cameras.door.zones.start_score", "cameras.door.zones.cooldown"],
        ),
        # one of an action that has a start score of its own is reported
        (
            changed(actions__default={"start_score": 1.5}, actions__a={"start_score": 0.1, "keep_score": 0.3}),
            ["actions.default.start_score", "actions.a.keep_score"],
        ),
        # a general keep_score above the camera's start_score, beside another problem
        (
            changed(actions__b={"keep_score": 0.5}, cameras__film__actions={"default": {"start_score": 0.3}}, x=1),
            ["x", "cameras.film.actions.default.keep_score"],
        ),
        # clips that end before their events begin, and pictures that nobody would get
        (
            changed(history={"max_clip_seconds": 5.0, "seconds_before": 5.0}, mqtt__snapshots=False),
            ["history.max_clip_seconds"],
        ),
        (changed(history={"publish_pictures": True}), ["history.publish_pictures"]),
        # a camera whose name or source is wrong: what else is wrong about it is reported
        (changed(cameras__request={"source": "x"}), ["cameras.request"]),
        (changed(cameras__a={"source": "gopher://x", "transport": "udp"}), ["cameras.a.source"]),
        # options that do not fit the source or one another hide neither themselves nor what else is wrong
        (
            changed(cameras__film={"source": "a.mp4", "width": 9, "fps": 0.1, "transport": "tcp"}),
            ["cameras.film.transport", "cameras.film.width", "cameras.film.fps", "cameras.film.stall_seconds"],
        ),
        (changed(cameras__door__width="x", cameras__door__height=9), ["cameras.door.width"]),
        # a keep_score that is wrong for all actions does not hide a camera's own
        (
            changed(
                actions__default__keep_score=0.9,
                cameras__door__actions={"default": {"start_score": 0.3, "keep_score": 0.4}},
            ),
            ["actions.default.keep_score", "cameras.door.actions.default.keep_score"],
        ),
        (
            changed(cameras__a={"source": 3, "actions": {"a": {"start_score": 0.1, "keep_score": 0.9}}}),
            ["cameras.a.source", "cameras.a.actions.a.keep_score"],
        ),
        ({"thermal": {"limit": 80.0, "resume": 90.0}}, ["cameras", "thermal.resume"]),
        (changed(cameras=3, thermal__resume=90.0), ["cameras", "thermal.resume"]),
    ],
)
def test_each_is_reported_once(document: dict[str, Any], keys: list[str]) -> None:
    before = copy.deepcopy(document)
    reported, rest, _ = validate(document)
    assert [sentence.split(":")[0] for sentence in reported] == keys
    assert rest is not None
    assert document == before


junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 700) | st.sampled_from(["x", "", "gopher://x", "a.mp4", 0.95]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "fps", "keep_score", "start_score", "a b", "request"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PLACES = [
    ("cameras",),
    ("cameras", "door"),
    ("cameras", "request"),
    ("cameras", "door", "fps"),
    ("cameras", "door", "actions"),
    ("cameras", "door", "actions", "x.y"),
    ("actions",),
    ("actions", "default"),
    ("thermal",),
    ("mqtt", "username"),
    ("other",),
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), junk), max_size=4))
def test_every_document_is_reported_or_usable(values: list[tuple[tuple[str, ...], Any]]) -> None:
    document: Any = copy.deepcopy(SOUND)
    for (*tables, key), value in values:
        table = document
        for name in tables:
            table = table[name] if isinstance(table, dict) and name in table else {}
        if isinstance(table, dict):
            table[key] = value
    reported, rest, _ = validate(document)
    assert reported or rest is not None
    assert len(set(reported)) == len(reported)


CAMERA = {"source": "/dev/video0"}


@pytest.mark.parametrize(
    ("document", "reported", "restarts", "names"),
    [
        ({"cameras": {"a": CAMERA, "restart_argus": True}}, (), True, ["a"]),
        ({"cameras": {"a": CAMERA}}, (), False, ["a"]),
        ({"cameras": {"restart_argus": CAMERA}}, (), False, ["restart_argus"]),  # a camera of this name, as ever
        (
            {"cameras": {"a": CAMERA, "restart_argus": "yes"}},
            ("cameras.restart_argus: should be true or false, is 'yes'",),
            False,
            ["a"],
        ),
        (
            {"cameras": {"a": CAMERA}, "restart_argus": True},
            ("restart_argus: unknown key; did you mean cameras.restart_argus?",),
            False,
            ["a"],
        ),
    ],
)
def test_a_key_beside_the_cameras(
    document: dict[str, Any], reported: tuple[str, ...], restarts: bool, names: list[str]
) -> None:
    found = validate(document)
    assert found.problems == reported
    assert found.usable is not None
    assert (found.usable.restart_argus, list(found.usable.cameras)) == (restarts, names)
