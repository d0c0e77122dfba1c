"""A daemon's way to the broker is killed while events go on; the next start tells their ends."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.payload import ModelIdentity, end_interrupted, event_payload
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics, encode
from edge.config.schema import MqttConfig
from edge.event_settings import ActionSettings, EventSettings
from edge.events import initial, step
from tests.support.broker import Broker, Subscriber
from tests.support.paths import ROOT
from tests.support.people import LABELS, frame, tube_box
from tests.support.waiting import wait_for

TOPICS = Topics("korsal", "roof")
MODEL = ModelIdentity("korsal-ucf24", "ab" * 32)
SETTINGS = EventSettings(default=ActionSettings(min_duration=0.0, cooldown=0.0, update_interval=0.1))
SCHEMA = json.loads((ROOT / "docs" / "event.schema.json").read_text())

DOOMED = """
import sys
from pathlib import Path
from edge.broker.publisher import Publisher
from edge.broker.outbox import OutboxLimits, Outbox
from edge.config.schema import MqttConfig
from tests.edge.broker.test_interrupted_events import TOPICS, story
settings = MqttConfig(host="127.0.0.1", port=int(sys.argv[2]))
publisher = Publisher(settings, TOPICS, Outbox(Path(sys.argv[1]), OutboxLimits()))
for message in story():
    publisher.publish_event(message)
sys.stdin.read()
"""


def story() -> list[Message]:
    """Somebody runs and goes on running, somebody else jumps and stops: new, new, update, end, update."""
    state, messages = initial("door", "seed"), list[Any]()
    for index, jump in enumerate((0.9, 0.0, 0.0)):
        people = [tube_box(1, run=0.9), tube_box(2, jump=jump)]
        state, events = step(state, people, frame(index, start=time.time() - 1), LABELS, SETTINGS)
        for event in events:
            payload = event_payload(event, "roof", "door", MODEL, time.time(), clock_synced=False)
            topic = TOPICS.event("door", event.action)
            messages.append(Message(topic, encode(payload), event.event_id, event.seq, event.type, time.time() + 600))
    return messages


def start_again(path: Path, port: int) -> Publisher:
    """What a daemon does at its start."""
    outbox = Outbox(path, OutboxLimits())
    now = time.time()
    interruption = end_interrupted(outbox.open_events(), now, now + 600)
    outbox.put(interruption.ends, now)
    outbox.forget_open(interruption.unreadable)
    return Publisher(MqttConfig(host="127.0.0.1", port=port), TOPICS, outbox)


@contextmanager
def closing_soon(publisher: Publisher) -> Iterator[Publisher]:
    try:
        yield publisher
    finally:
        publisher.close(20.0)


@pytest.mark.parametrize("broker_dies_too", [False, True])
def test_after_sigkill_every_event_has_one_end(tmp_path: Path, broker_dies_too: bool) -> None:
    path = tmp_path / "outbox.sqlite"
    with Broker(tmp_path) as broker:
        command = [sys.executable, "-c", DOOMED, str(path), str(broker.port)]
        with Subscriber(broker.port) as subscriber:
            with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) as doomed:
                wait_for(lambda: len(distinct(subscriber.events())) == 5, "the events before the crash")
                doomed.send_signal(signal.SIGKILL)
            received = subscriber.events()
        if broker_dies_too:
            broker.stop()
            broker.start()
        with Subscriber(broker.port) as subscriber:
            for starts in (1, 2):  # the second finds nothing to close
                with closing_soon(start_again(path, broker.port)) as publisher:
                    wait_for(
                        lambda: len(distinct(received + subscriber.events())) == 6, f"the end, after start {starts}"
                    )
                assert publisher.statistics().outbox.rows == 0
            received += subscriber.events()
    lives: dict[str, list[dict[str, Any]]] = {}
    for found in distinct(received).values():
        Draft202012Validator(SCHEMA).validate(found)
        lives.setdefault(found["event_id"], []).append(found)
    assert sorted([step["type"] for step in life] for life in lives.values()) == [
        ["new", "end"],
        ["new", "update", "update", "end"],
    ]
    (interrupted,) = (life[-1] for life in lives.values() if life[-1]["reason_ended"] == "interrupted")
    assert (interrupted["action"], interrupted["seq"], interrupted["duration"]) == ("Run", 3, 0.2)
    assert (interrupted["observed"], interrupted["clock_synced"]) == (False, False)


def distinct(received: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """What has arrived, in its order, without what arrived twice."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for payload in received:
        found.setdefault((payload["event_id"], payload["seq"]), payload)
    return found
