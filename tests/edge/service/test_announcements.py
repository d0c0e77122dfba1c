"""The messages that events, people, states and the status become."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.broker.message import Message
from edge.broker.payload import ModelIdentity as ModelName
from edge.config.config_file import fingerprint
from edge.config.schema import CameraConfig, Config, DeviceConfig, MqttConfig, OutboxConfig
from edge.events import Event, EventType
from edge.people_count import PeopleCount
from edge.sensors import clock
from edge.service.announcements import Announcer
from edge.service.settings import topics
from edge.sources import Frame
from edge.video.snapshot import SnapshotError

DISCOVERY = "homeassistant/device/korsal_roof/config"


class Publisher:
    """Remembers what it is to publish."""

    def __init__(self) -> None:
        self.raw: dict[str, bytes] = {}
        self.sent: dict[str, Any] = {}
        self.stored: list[Message] = []
        self.pictures: list[tuple[str, bytes, str]] = []

    @property
    def kept(self) -> dict[str, Any]:
        """What is retained, decoded; None where it is cleared."""
        return {topic: json.loads(payload or b"null") for topic, payload in self.raw.items()}

    def publish_event(self, message: Message) -> None:
        self.stored.append(message)

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.raw[topic] = payload

    def publish_snapshot(self, topic: str, jpeg: bytes, event_id: str = "") -> None:
        self.pictures.append((topic, jpeg, event_id))

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent[topic] = json.loads(payload)


def config(folder: Path, *cameras: str, **mqtt: object) -> Config:
    return Config(
        device=DeviceConfig(name="roof"),
        cameras={name: CameraConfig.model_construct(source="/dev/video0") for name in cameras},
        mqtt=MqttConfig.model_validate(mqtt),
        outbox=OutboxConfig(directory=folder),
    )


def announcer(settings: Config, publisher: Publisher, *labels: str) -> Announcer:
    model = ModelName("m", "0" * 64)
    return Announcer(topics(settings), settings.mqtt, settings.outbox, model, labels, publisher)  # type: ignore[arg-type]


def test_everybody_is_counted_under_a_name_of_its_own(tmp_path: Path) -> None:
    publisher = Publisher()
    announcements = announcer(config(tmp_path, "door", people_score=0.3), publisher, "Run", "投篮")
    announcements.active("door", Counter({"投篮": 2}))
    announcements.people("door", PeopleCount(2, 1))
    assert publisher.kept["korsal/roof/door/active"] == {"Run": 0, "投篮": 2}
    assert publisher.kept["korsal/roof/door/people"] == {"active": 2, "other": 1, "least_score": 0.3}
    announcements.clear_retained("door")
    assert publisher.kept["korsal/roof/door/active"] is publisher.kept["korsal/roof/door/people"] is None


def event(number: int, kind: EventType) -> Event:
    ended = 1.0 if kind == "end" else None
    return Event(
        kind, f"e{number}", 0, number, "t", "Run", 0.5, 0.5, 0.0, 0.0, ended, 1.0, np.zeros(4, np.float32),
        (160, 120), (), True, 0, 0.0, "gone" if ended else None,
    )  # fmt: skip


def test_a_failed_snapshot_loses_no_step_of_an_event(tmp_path: Path) -> None:
    publisher = Publisher()
    announcements = announcer(config(tmp_path, "door", snapshots=True), publisher, "Run")
    grey = Frame("door", 0, 0.0, 0.0, np.zeros((120, 160), np.uint8))
    with pytest.raises(SnapshotError):
        announcements.events("door", [event(1, "new"), event(2, "new"), event(3, "end")], grey)
    assert [(one.event_id, one.type) for one in publisher.stored] == [("e1", "new"), ("e2", "new"), ("e3", "end")]


def test_an_event_is_stored_with_its_topic_identity_and_expiry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "synced", lambda unix_time: True)
    publisher = Publisher()
    settings = config(tmp_path, "door")
    frame = Frame("door", 0, 0.0, 12.5, np.zeros((120, 160, 3), np.uint8))
    before = time.time()
    announcer(settings, publisher, "Run").events("door", [event(7, "new"), event(7, "end")], frame, live=True)
    new, end = publisher.stored
    assert (new.topic, new.event_id, new.seq, new.type) == ("korsal/roof/door/actions/Run", "e7", 0, "new")
    assert (new.captured, end.captured) == (12.5, 12.5)
    assert before <= new.expires - settings.outbox.max_age <= time.time()
    payload = json.loads(new.payload)
    assert (payload["device"], payload["camera"], payload["model"]["name"]) == ("roof", "door", "m")
    assert payload["snapshot_topic"] is None


def test_of_a_file_no_time_to_the_broker_is_measured(tmp_path: Path) -> None:
    publisher = Publisher()
    frame = Frame("door", 0, 0.0, 12.5, np.zeros((120, 160, 3), np.uint8))
    announcer(config(tmp_path, "door"), publisher, "Run").events("door", [event(1, "new")], frame, live=False)
    assert publisher.stored[0].captured is None


def test_what_a_clock_that_is_not_set_stores_never_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "synced", lambda unix_time: False)
    publisher = Publisher()
    announcer(config(tmp_path, "door"), publisher, "Run").events("door", [event(1, "new")])
    assert publisher.stored[0].expires == clock.NEVER
    assert json.loads(publisher.stored[0].payload)["clock_synced"] is False


def test_snapshots_are_of_beginnings_alone_and_only_where_they_are_configured(tmp_path: Path) -> None:
    frame = Frame("door", 0, 0.0, 0.0, np.zeros((120, 160, 3), np.uint8))
    for wanted in (False, True):
        publisher = Publisher()
        made = announcer(config(tmp_path, "door", snapshots=wanted), publisher, "Run")
        made.events("door", [event(1, "new"), event(1, "update"), event(2, "end")], frame)
        made.events("door", [event(3, "new")])  # without a frame, as when a camera closes
        assert [(topic, of) for topic, _, of in publisher.pictures] == (
            [("korsal/roof/door/snapshot/Run", "e1")] if wanted else []
        )
        assert {json.loads(message.payload)["snapshot_topic"] for message in publisher.stored} == {
            "korsal/roof/door/snapshot/Run" if wanted else None
        }
    made.snapshot("door", frame)
    topic, jpeg, of = publisher.pictures[-1]
    assert (topic, jpeg[:2], of) == ("korsal/roof/door/snapshot", b"\xff\xd8", "")


def test_a_removed_camera_leaves_nothing_retained(tmp_path: Path) -> None:
    publisher = Publisher()
    announcer(config(tmp_path, "door", snapshots=True), publisher, "Run", "Jump").clear_retained("door")
    root = "korsal/roof/door"
    assert publisher.kept == {f"{root}/{topic}": None for topic in ("state", "active", "people", "thresholds")}
    assert [(topic, jpeg) for topic, jpeg, _ in publisher.pictures] == [
        (f"{root}/snapshot", b""),
        (f"{root}/snapshot/Run", b""),
        (f"{root}/snapshot/Jump", b""),
    ]


def test_the_status_names_what_runs_and_no_secret(tmp_path: Path) -> None:
    publisher = Publisher()
    settings = config(tmp_path, "door")
    settings = settings.model_copy(update={"cameras": {"door": CameraConfig(source="rtsp://user:hunter2@door/1")}})
    announcer(settings, publisher, "Run").status(settings, ("mqtt",), {"connected": True})
    status = publisher.kept["korsal/roof/status"]
    assert (status["model"], status["labels"]) == ({"name": "m", "sha256": "0" * 64}, ["Run"])
    assert (status["needs_restart"], status["broker"]) == (["mqtt"], {"connected": True})
    assert status["config"] == fingerprint(settings)
    assert "hunter" not in json.dumps(status)


def test_discovery_is_published_again_only_when_the_cameras_change(tmp_path: Path) -> None:
    publisher = Publisher()
    settings = config(tmp_path, "door", discovery=True)
    made = announcer(settings, publisher, "Run")
    made.status(settings, (), {})
    del publisher.raw[DISCOVERY]
    made.status(settings, ("mqtt",), {})
    assert DISCOVERY not in publisher.kept
    made.status(config(tmp_path, "door", "yard", discovery=True), (), {})
    assert DISCOVERY in publisher.kept


def test_states_are_retained_and_telemetry_is_not(tmp_path: Path) -> None:
    publisher = Publisher()
    made = announcer(config(tmp_path, "door"), publisher, "Run")
    made.camera_state("door", "stalled")
    made.telemetry({"schema": 1})
    assert publisher.raw == {"korsal/roof/door/state": b"stalled"}
    assert publisher.sent == {"korsal/roof/telemetry": {"schema": 1}}
