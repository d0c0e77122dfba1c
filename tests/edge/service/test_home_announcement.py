"""What Home Assistant is told over several runs: what is there, what is gone, and nothing where it is not wanted."""

import json
from pathlib import Path
from typing import Any

from edge.broker.home_entities import DeviceDescription
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig, OutboxConfig
from edge.service.home_announcement import HomeAnnouncement

TOPIC = "homeassistant/device/korsal_roof/config"


class Publisher:
    """Remembers what is retained: None where it is cleared."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.kept[topic] = json.loads(payload or b"null")


def run(folder: Path, *described: DeviceDescription, **mqtt: object) -> dict[str, Any]:
    """One run that announces these, one after another; what it publishes."""
    publisher, topics = Publisher(), Topics(str(mqtt.get("base", "korsal")), "roof")
    home = HomeAnnouncement(
        topics,
        MqttConfig.model_validate(mqtt),
        OutboxConfig(directory=folder),
        publisher,  # type: ignore[arg-type]
    )
    for one in described:
        home.announce(one)
    return publisher.kept


def device(*cameras: str, actions: tuple[str, ...] = ("Run", "Jump")) -> DeviceDescription:
    return DeviceDescription("1", "m", actions, cameras, False)


def gone(published: dict[str, Any]) -> set[str]:
    components = published[TOPIC]["components"]
    return {key for key, component in components.items() if component.keys() == {"platform"}}


def test_what_is_gone_is_removed_by_this_run_and_all_later_ones(tmp_path: Path) -> None:
    assert gone(run(tmp_path, device("door", "yard"), discovery=True)) == set()
    after_a_reload = gone(run(tmp_path, device("door", "yard"), device("door"), discovery=True))
    assert after_a_reload
    assert all(key.startswith("yard") for key in after_a_reload)
    other_model = gone(run(tmp_path, device("door", actions=("Run", "Throw")), discovery=True))
    assert other_model == after_a_reload | {"door--on_Jump_running", "door--on_Jump_event"}
    assert gone(run(tmp_path, device("door", actions=("Run", "Throw")), discovery=True)) == other_model
    assert gone(run(tmp_path, device("door", "yard"), discovery=True)) == {
        "door--on_Throw_running",
        "door--on_Throw_event",
    }


def test_an_update_removes_what_the_former_version_announced(tmp_path: Path) -> None:
    (tmp_path / "roof.discovery.json").write_text('{"door_running": "binary_sensor", "door_actions": "event"}')
    assert gone(run(tmp_path, device("door"), discovery=True)) == {"door_running"}


def test_without_discovery_nothing_is_published_or_stored(tmp_path: Path) -> None:
    assert run(tmp_path, device("door")) == {}
    assert list(tmp_path.iterdir()) == []


def test_discovery_that_is_switched_off_is_withdrawn_once(tmp_path: Path) -> None:
    run(tmp_path, device("door"), discovery=True)
    assert run(tmp_path, device("door"), device("yard")) == {TOPIC: None}
    assert run(tmp_path, device("door")) == {}
    (tmp_path / "roof.discovery.json").write_text('{"door_actions": "event"}')  # as once written
    assert run(tmp_path, device("door")) == {TOPIC: None}


def test_another_prefix_or_base_leaves_nothing_at_the_old_topic(tmp_path: Path) -> None:
    run(tmp_path, device("door"), discovery=True)
    moved = run(tmp_path, device("door"), discovery=True, discovery_prefix="home")
    assert moved.pop(TOPIC) is None
    assert list(moved) == ["home/device/korsal_roof/config"]
    based = run(tmp_path, device("door"), discovery=True, base="site")
    assert [topic for topic, payload in based.items() if payload is None] == ["home/device/korsal_roof/config"]
