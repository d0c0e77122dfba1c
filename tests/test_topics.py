"""Names of topics: none can be mistaken for another."""

import itertools

import pytest

from edge.broker.topics import Topics, level
from edge.config import ConfigError, load

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


@pytest.mark.parametrize("name", ["Walk/#+ Dog\0", "", "x" * 70_000, "\ud800", "$SYS", "..", "ä"])
def test_a_label_is_one_safe_level(name: str) -> None:
    for topic in (TOPICS.event("door", name), TOPICS.snapshot("door", name)):
        assert topic.count("/") == 5
        assert topic.isascii()
        assert topic.isprintable()
        assert not set("#+ $") & set(topic)
        assert len(topic) < 120
    assert level(name)


def test_the_picture_of_an_action_differs_from_one_that_was_asked_for() -> None:
    assert TOPICS.snapshot("door") == "site/korsal/roof/door/snapshot"
    assert TOPICS.snapshot("door", "Long Jump") == "site/korsal/roof/door/snapshot/Long_Jump"


@pytest.mark.parametrize("name", ["request", "response", "events"])
def test_a_camera_may_not_have_the_name_of_a_topic_of_the_device(tmp_path, name: str) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "config.toml"
    file.write_text(f'[cameras.{name}]\nsource = "/dev/video0"\n[cameras.door]\nsource = "/dev/video1"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == (f"cameras.{name}: is a topic of the device itself; name the camera otherwise",)


def test_filters_catch_what_they_are_for_and_nothing_else() -> None:
    """As MQTT matches: `+` is one level."""

    def matches(pattern: str, topic: str) -> bool:
        pairs = itertools.zip_longest(pattern.split("/"), topic.split("/"))
        return all(expected in ("+", found) and found is not None for expected, found in pairs)

    assert matches(TOPICS.requests, TOPICS.request("health"))
    assert not matches(TOPICS.requests, TOPICS.response("health"))
    assert matches(TOPICS.event_filter("door"), TOPICS.event("door", "Long Jump"))
    assert not matches(TOPICS.event_filter("door"), TOPICS.event("yard", "Long Jump"))
