"""Names of topics: none can be mistaken for another."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.topics import Topics, label, level
from edge.config.config_file import ConfigError, load

TOPICS = Topics("site/korsal", "roof")


def test_every_topic_is_below_the_devices_own() -> None:
    found = [
        *(TOPICS.available, TOPICS.status, TOPICS.telemetry, TOPICS.lost, TOPICS.requests),
        *(TOPICS.request("health"), TOPICS.response("health")),
        *(TOPICS.event("door", "Dunk"), TOPICS.state("door"), TOPICS.active("door")),
        *(TOPICS.snapshot("door"), TOPICS.snapshot("door", "Dunk")),
    ]
    assert all(topic.startswith("site/korsal/roof/") for topic in found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WalkingWithDog", "WalkingWithDog"),
        ("long-jump_2", "long-jump_2"),
        ("Long Jump", "Long%20Jump"),
        ("100%", "100%25"),
        ("%20", "%2520"),
        ("a/../#+$SYS", "a%2F%2E%2E%2F%23%2B%24SYS"),
        ("投篮", "%E6%8A%95%E7%AF%AE"),  # UTF-8: e6 8a 95, e7 af ae
        ("Größe", "Gr%C3%B6%C3%9Fe"),
        ("Gro\u0308ße", "Gro%CC%88%C3%9Fe"),  # the same to the eye, another text
        ("🤸", "%F0%9F%A4%B8"),
        ("\0", "%00"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_a_label_as_a_level(name: str, expected: str) -> None:
    assert level(name) == expected
    assert label(expected) == name


@given(st.text(st.characters(), max_size=256))
def test_a_label_comes_back_from_its_level(name: str) -> None:
    """So that different labels have different levels, which neither filters nor brokers take amiss."""
    found = level(name)
    assert label(found) == name
    assert re.fullmatch("(?:[A-Za-z0-9_-]|%[0-9A-F]{2})*", found)


@pytest.mark.parametrize(
    ("one", "other"),
    [("投篮", "扣篮"), ("Long Jump", "Long_Jump"), ("x" * 255 + "a", "x" * 255 + "b"), ("ä", "Ä"), ("a", "a ")],
)
def test_two_labels_have_two_topics(one: str, other: str) -> None:
    assert TOPICS.event("door", one) != TOPICS.event("door", other)
    assert TOPICS.snapshot("door", one) != TOPICS.snapshot("door", other)


def test_the_longest_label_fits_into_a_topic() -> None:
    assert len(TOPICS.snapshot("door", "🤸" * 256)) < 65_535  # bytes, MQTT's limit


def test_the_snapshot_of_an_action_has_another_topic_than_a_requested_one() -> None:
    assert TOPICS.snapshot("door") == "site/korsal/roof/door/snapshot"
    assert TOPICS.snapshot("door", "Long Jump") == "site/korsal/roof/door/snapshot/Long%20Jump"


@pytest.mark.parametrize("name", ["request", "response", "events"])
def test_a_camera_may_not_have_the_name_of_a_topic_of_the_device(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[cameras.{name}]\nsource = "/dev/video0"\n[cameras.door]\nsource = "/dev/video1"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == (
        f"cameras.{name}: is a topic of the device itself; choose another name for the camera",
    )


def test_filters_catch_what_they_are_for_and_nothing_else() -> None:
    """As MQTT matches: `+` is one level."""

    def matches(pattern: str, topic: str) -> bool:
        pairs = itertools.zip_longest(pattern.split("/"), topic.split("/"))
        return all(expected in ("+", found) and found is not None for expected, found in pairs)

    assert matches(TOPICS.requests, TOPICS.request("health"))
    assert not matches(TOPICS.requests, TOPICS.response("health"))
    assert matches(TOPICS.event_filter("door"), TOPICS.event("door", "Long Jump"))
    assert not matches(TOPICS.event_filter("door"), TOPICS.event("yard", "Long Jump"))
