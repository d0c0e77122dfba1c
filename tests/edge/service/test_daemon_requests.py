"""What a running daemon is asked over MQTT, and what it leaves behind when it is killed. All of it is real."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.asker import Asker
from tests.support.broker import Broker, Subscriber
from tests.support.ports import free_port
from tests.support.started_daemon import BASE, SCHEMA, LiveStream, events_of, running, write_config
from tests.support.waiting import wait_for


@pytest.fixture
def asker(broker: Broker, subscriber: Subscriber) -> Iterator[Asker]:
    with Asker(broker.port, subscriber) as asker:
        yield asker


def test_a_running_device_answers(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream, asker: Asker
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url}, "# kept\n[actions.default]\nstart_score = 0.2\n")
    config.write_text(config.read_text().replace("[outbox]", "snapshots = true\nallow_remote_config = true\n[outbox]"))
    with running(config) as daemon:
        subscriber.wait_for_payload(f"{BASE}/door/state", b"online")
        health = asker.ask("health")
        assert health["status"] == "ok"
        assert health["data"]["well"] is True
        assert health["data"]["cameras"] == {"door": "online"}
        assert health["data"]["broker"]["online"] is True
        assert asker.ask("config-get")["data"]["actions"]["default"]["start_score"] == 0.2
        changes = {"actions": {"default": {"start_score": 0.25}}}
        assert asker.ask("config-set", changes)["error"] is None
        assert asker.ask("config-get")["data"]["actions"]["default"]["start_score"] == 0.25
        assert "# kept\n[actions.default]\nstart_score = 0.25\n" in config.read_text()
        wrong = asker.ask("config-set", {"actions": {"Jump": {"start_score": 0.3}}})
        assert "actions.Jump: the model knows no such action" in wrong["error"]
        assert "device: cannot be changed by request" in asker.ask("config-set", {"device": {"name": "other"}})["error"]
        assert asker.ask("snapshot", {"camera": "door"})["error"] is None
        wait_for(lambda: subscriber.payloads(f"{BASE}/door/snapshot"), "the picture")
        picture = cv2.imdecode(np.frombuffer(subscriber.payloads(f"{BASE}/door/snapshot")[-1], np.uint8), 1)
        assert picture is not None
        assert picture.shape == (48, 64, 3)
        assert "did you mean door?" in asker.ask("snapshot", {"camera": "dor"})["error"]
        assert asker.ask("reload")["error"] is None
        config.write_text("nonsense")
        assert "is not TOML" in asker.ask("reload")["error"]
        daemon.terminate()
        assert daemon.stderr is not None
        output = daemon.stderr.read()
    change = "actions.default.start_score from 0.2 to 0.25"
    assert f"config.toml is in force, requested by a request over MQTT (config-set): {change}\n" in output


def test_events_have_snapshots_where_these_are_configured(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url})
    config.write_text(config.read_text().replace("[outbox]", "snapshots = true\n[outbox]"))
    with running(config):
        wait_for(lambda: events_of(subscriber, "door", "new"), "an event")
        topic = events_of(subscriber, "door", "new")[0]["snapshot_topic"]
        assert topic.startswith(f"{BASE}/door/snapshot/")
        wait_for(lambda: subscriber.payloads(topic), "its picture")
        assert subscriber.payloads(topic)[0][:3] == b"\xff\xd8\xff"
        assert subscriber.on(topic)[0].retain


def test_events_that_a_kill_left_open_end_at_the_next_start(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    config = write_config(tmp_path, broker.port, {"door": stream.url})
    with running(config) as daemon:
        wait_for(lambda: events_of(subscriber, "door", "update"), "an event that goes on")
        daemon.kill()
        daemon.wait()
    begun = {event["event_id"] for event in events_of(subscriber, "door", "new")}
    stream.bright = False
    with running(config):
        wait_for(lambda: {event["event_id"] for event in events_of(subscriber, "door", "end")} >= begun, "the ends")
    ends = [event for event in events_of(subscriber, "door", "end") if event["event_id"] in begun]
    assert {event["reason_ended"] for event in ends} == {"interrupted"}
    for event in ends:
        SCHEMA.validate(event)
        steps = [other["seq"] for other in subscriber.events() if other["event_id"] == event["event_id"]]
        assert sorted(set(steps)) == list(range(event["seq"] + 1))


def test_prometheus_and_home_assistant_are_served(
    tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream
) -> None:
    from urllib.request import urlopen

    port = free_port()
    more = f"[telemetry]\ninterval = 0.2\n[metrics]\nport = {port}\n"
    config = write_config(tmp_path, broker.port, {"door": stream.url}, more)
    config.write_text(config.read_text().replace("[outbox]", "discovery = true\n[outbox]"))
    with running(config):
        wait_for(lambda: len(subscriber.on(f"{BASE}/telemetry")) > 3, "telemetry")
        with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            text = page.read().decode()
        assert 'korsal_frames_total{camera="door"}' in text
        assert "korsal_process_memory_bytes" in text
        wait_for(lambda: subscriber.on("homeassistant/device/korsal_roof/config"), "the discovery")
        described = json.loads(subscriber.payloads("homeassistant/device/korsal_roof/config")[-1])
        assert described["availability"] == [{"topic": f"{BASE}/available"}]


def test_the_broker_s_faults_stand_in_the_status(tmp_path: Path, stream: LiveStream) -> None:
    """Told when there is a connection again."""
    port = free_port()
    config = write_config(tmp_path, port, {"door": stream.url})
    with running(config) as daemon:
        assert daemon.stderr is not None
        first = next(line for line in daemon.stderr if "WARNING" in line)
        with Broker(tmp_path, port=port) as broker, Subscriber(broker.port) as subscriber:
            wait_for(lambda: subscriber.on(f"{BASE}/status"), "the status")
            wait_for(lambda: json.loads(subscriber.payloads(f"{BASE}/status")[-1])["broker"]["online"], "online")
            status = json.loads(subscriber.payloads(f"{BASE}/status")[-1])["broker"]
            assert status["last_fault"] in first
