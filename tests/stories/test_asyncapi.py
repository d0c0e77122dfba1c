"""Everything that a real daemon publishes is as docs/asyncapi.json describes it."""

from pathlib import Path

from tests.support import described_messages
from tests.support.asker import Asker
from tests.support.broker import Broker, Subscriber
from tests.support.started_daemon import BASE, LiveStream, events_of, running, write_config
from tests.support.waiting import wait_for

MORE = "snapshots = true\ndiscovery = true\nallow_remote_config = true\nallow_camera_switch = true\n[outbox]"
REQUESTS = {
    "health": None,
    "reload": None,
    "config-get": None,
    "config-set": {"telemetry": {"interval": 0.2}},
    "snapshot": {"camera": "door"},
    "camera": {"camera": "door", "enabled": False},
}


def test_what_is_published_is_what_is_described(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url}, "[telemetry]\ninterval = 0.2\n")
    config.write_text(config.read_text().replace("[outbox]", MORE, 1))
    with running(config) as daemon, Asker(broker.port, subscriber) as asker:
        wait_for(lambda: events_of(subscriber, "door", "update"), "an event")
        subscriber.wait_for_topic(f"{BASE}/telemetry")
        for op, data in REQUESTS.items():
            assert asker.ask(op, data)["error"] is None
            if op == "snapshot":
                subscriber.wait_for_topic(f"{BASE}/door/snapshot")
        wait_for(lambda: events_of(subscriber, "door", "end"), "its end")
        daemon.terminate()
        subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    seen = described_messages.check(subscriber.messages, delivery=True)
    assert set(described_messages.described()["channels"]) - seen == {"thermal", "lost"}
