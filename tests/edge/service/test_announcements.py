"""What is said of people, and to Home Assistant over several runs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.broker.message import Message
from edge.broker.payload import ModelIdentity as ModelName
from edge.config.schema import CameraConfig, Config, DeviceConfig, MqttConfig, OutboxConfig
from edge.events import Event, EventType
from edge.presence import PeopleCount
from edge.service.announcements import Announcer
from edge.sources import Frame
from edge.video.snapshot import SnapshotError

DISCOVERY = "homeassistant/device/korsal_roof/config"


class Publisher:
    """Remembers what is to be kept."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.stored: list[Message] = []

    def publish_event(self, message: Message) -> None:
        self.stored.append(message)

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.kept[topic] = json.loads(payload or b"null")


def config(folder: Path, *cameras: str, **mqtt: object) -> Config:
    return Config(
        device=DeviceConfig(name="roof"),
        cameras={name: CameraConfig.model_construct(source="/dev/video0") for name in cameras},
        mqtt=MqttConfig.model_validate(mqtt),
        outbox=OutboxConfig(directory=folder),
    )


def announcer(settings: Config, publisher: Publisher, *labels: str) -> Announcer:
    return Announcer(settings, ModelName("m", "0" * 64), labels, publisher)  # type: ignore[arg-type]


def gone(publisher: Publisher) -> set[str]:
    components = publisher.kept[DISCOVERY]["components"]
    return {key for key, component in components.items() if component.keys() == {"platform"}}


def test_everybody_is_counted_under_a_name_of_its_own(tmp_path: Path) -> None:
    publisher = Publisher()
    said = announcer(config(tmp_path, "door", people_score=0.3), publisher, "Run", "投篮")
    said.active("door", Counter({"投篮": 2}))
    said.people("door", PeopleCount(2, 1))
    assert publisher.kept["korsal/roof/door/active"] == {"Run": 0, "投篮": 2}
    assert publisher.kept["korsal/roof/door/people"] == {"active": 2, "other": 1, "least_score": 0.3}
    said.clear_retained("door")
    assert publisher.kept["korsal/roof/door/active"] is publisher.kept["korsal/roof/door/people"] is None


def test_what_is_no_more_is_taken_away_from_home_assistant(tmp_path: Path) -> None:
    publisher = Publisher()
    settings = config(tmp_path, "door", "yard", discovery=True)
    said = announcer(settings, publisher, "Run", "Jump")
    said.status(settings, (), {})
    assert gone(publisher) == set()
    said.status(config(tmp_path, "door", discovery=True), (), {})  # after a reload
    assert gone(publisher)
    assert all(key.startswith("yard") for key in gone(publisher))
    again = announcer(config(tmp_path, "door", discovery=True), publisher, "Run", "Throw")  # after a restart
    again.status(config(tmp_path, "door", discovery=True), (), {})
    assert gone(publisher) == {"door--on_Jump_running"}


def test_nothing_is_remembered_where_nobody_is_told(tmp_path: Path) -> None:
    publisher = Publisher()
    settings = config(tmp_path, "door")
    announcer(settings, publisher, "Run").status(settings, (), {})
    assert DISCOVERY not in publisher.kept
    assert list(tmp_path.iterdir()) == []


def event(number: int, kind: EventType) -> Event:
    ended = 1.0 if kind == "end" else None
    return Event(
        kind, f"e{number}", 0, number, "Run", 0.5, 0.5, 0.0, 0.0, ended, 1.0, np.zeros(4, np.float32), (160, 120), (),
        True, 0, 0.0, "gone" if ended else None,
    )  # fmt: skip


def test_a_picture_that_cannot_be_made_costs_no_step_of_an_event(tmp_path: Path) -> None:
    publisher = Publisher()
    said = announcer(config(tmp_path, "door", snapshots=True), publisher, "Run")
    grey = Frame("door", 0, 0.0, 0.0, np.zeros((120, 160), np.uint8))
    with pytest.raises(SnapshotError):
        said.events("door", [event(1, "new"), event(2, "new"), event(3, "end")], grey)
    assert [(one.event_id, one.type) for one in publisher.stored] == [("e1", "new"), ("e2", "new"), ("e3", "end")]
