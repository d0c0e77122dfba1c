"""Everything that a real daemon publishes is as docs/asyncapi.json describes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import described_messages
from tests.support.asker import Asker
from tests.support.broker import Broker, Subscriber
from tests.support.started_daemon import BASE, LiveStream, events_of, running, write_config
from tests.support.waiting import wait_for

jinja2 = pytest.importorskip("jinja2", reason="jinja2, which renders Home Assistant's templates, is not installed")
MORE = "snapshots = true\ndiscovery = true\nallow_remote_config = true\nallow_camera_switch = true\n[outbox]"
REQUESTS = {
    "health": None,
    "reload": None,
    "config-get": None,
    "config-set": {"telemetry": {"interval": 0.2}},
    "snapshot": {"camera": "door"},
    "clips": {"after": ""},
    "camera": {"camera": "door", "enabled": False},
}


def newest(subscriber: Subscriber, topic: str) -> str:
    return subscriber.payloads(topic)[-1].decode()


def threshold_of(subscriber: Subscriber, camera: str) -> dict[str, Any]:
    """The number by which Home Assistant sets the score at which events of some action continue."""
    found = json.loads(newest(subscriber, "homeassistant/device/korsal_roof/config"))["components"]
    return next(one for key, one in found.items() if key.startswith(f"{camera}--on_") and key.endswith("_keep"))


def test_what_is_published_is_what_is_described(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    tables = "[telemetry]\ninterval = 0.2\n[teaching]\nallow_fetch = true\n"
    config = write_config(tmp_path, broker.port, {"door": stream.url}, tables)
    config.write_text(config.read_text().replace("[outbox]", MORE, 1))
    with running(config) as daemon, Asker(broker.port, subscriber) as asker:
        wait_for(lambda: events_of(subscriber, "door", "update"), "an event")
        subscriber.wait_for_topic(f"{BASE}/telemetry")
        for op, data in REQUESTS.items():
            assert asker.ask(op, data)["error"] is None
            if op == "snapshot":
                subscriber.wait_for_topic(f"{BASE}/door/snapshot")
        wait_for(lambda: events_of(subscriber, "door", "end"), "its end")
        subscriber.publish("homeassistant/status", b"online")
        number = threshold_of(subscriber, "door")
        asked = jinja2.Environment().from_string(number["command_template"]).render(value=0.05)
        subscriber.publish(number["command_topic"], asked.encode())
        wait_for(lambda: '"keep_score":0.05' in newest(subscriber, number["state_topic"]), "the new score")
        daemon.terminate()
        subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    seen = described_messages.check(subscriber.messages, delivery=True)
    assert set(described_messages.described()["channels"]) - seen == {
        "thermal",
        "lost",
        "clipRequest",
        "clipResponse",
        "unknownResponse",
    }
