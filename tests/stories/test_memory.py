"""A model with a memory in the real daemon: what lasts makes an event, what flashes by makes none. All is real."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.broker import Broker, Subscriber
from tests.support.memory_model import write_memory_model
from tests.support.paths import ROOT
from tests.support.started_daemon import BASE, SCHEMA, LiveStream, events_of, play, running, write_config, write_video
from tests.support.waiting import PATIENCE, wait_for

LASTING = "[actions.default]\nstart_score = 0.4\nkeep_score = 0.2\nmin_duration = 0.1\ncooldown = 0.5\n"


def configured(folder: Path, port: int, cameras: dict[str, str], more: str) -> Path:
    """As write_config, with the model whose score is a quarter of what the memory has added up: 0.25, 0.375, 0.4375."""
    write_memory_model(folder)
    config = write_config(folder, port, cameras, more)
    config.write_text(config.read_text().replace('path = "tiny.onnx"', 'path = "spot.onnx"\nmax_batch = 2'))
    return config


def test_an_event_begins_only_where_the_memory_has_seen_enough(
    tmp_path: Path, broker: Broker, subscriber: Subscriber
) -> None:
    """At 10 frames a second every second one is looked at: three of them are white before a score passes 0.4."""
    write_video(tmp_path / "lasting.avi", "." * 10 + "#" * 30 + "." * 20)
    write_video(tmp_path / "flashing.avi", "." * 10 + "###...." * 4)
    play(configured(tmp_path, broker.port, {"lasting": "lasting.avi", "flashing": "flashing.avi"}, LASTING))
    subscriber.wait_for_payload(f"{BASE}/available", b"offline")
    found = subscriber.events()
    for event in found:
        SCHEMA.validate(event)
    assert {event["camera"] for event in found} == {"lasting"}
    assert found[0]["type"] == "new"
    assert found[-1]["reason_ended"] == "lost"  # the sum halves with every dark picture
    assert found[0]["model"]["name"] == "spot"


def test_a_reload_while_it_runs(tmp_path: Path, broker: Broker, subscriber: Subscriber, stream: LiveStream) -> None:
    """New tiles end the event; the next one begins from the same memory. Telemetry times the memory."""
    more = f"{LASTING}[telemetry]\ninterval = 0.2\n"
    config = configured(tmp_path, broker.port, {"door": stream.url}, more)
    with running(config) as daemon:
        wait_for(lambda: events_of(subscriber, "door", "new"), "an event")
        config.write_text(config.read_text().replace(stream.url, f'{stream.url}"\nregion = [0.0, 0.0, 0.9, 1.0]\n#"'))
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: len(events_of(subscriber, "door", "new")) > 1, "an event after the reload")
        daemon.send_signal(signal.SIGTERM)
        _, output = daemon.communicate(timeout=PATIENCE)
    assert daemon.returncode == 0, output
    assert "Traceback" not in output
    report = json.loads(subscriber.payloads(f"{BASE}/telemetry")[-1])
    assert {"memory", "preprocess", "network"} <= set(report["latency_ms"])
    assert report["failed"] == {"door": 0}


def test_without_its_memory_the_daemon_says_so_in_one_sentence(tmp_path: Path, broker: Broker) -> None:
    write_video(tmp_path / "video.avi", "#")
    config = configured(tmp_path, broker.port, {"door": "video.avi"}, "")
    (memory,) = tmp_path.glob("memory-*.onnx")
    memory.unlink()
    command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if memory.name in line]
    assert len(told) == 1
    assert "is missing, and spot.onnx does not run without this memory; copy it there from where" in told[0]
