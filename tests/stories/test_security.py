"""To whom a running daemon listens, and what strange names do; docs/security.md names these tests.

Everything is real: the daemon, mosquitto, a camera on loopback.
"""

import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from edge import manifest as manifests
from edge.broker import topics
from edge.config.config_file import ConfigError, load
from tests.support.broker import Broker, Subscriber
from tests.support.logged_daemon import daemon
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.sockets import Door, doors, family
from tests.support.started_daemon import BASE, LiveStream, play, start, write_config, write_video
from tests.support.tiny_model import MANIFEST
from tests.support.waiting import PATIENCE, wait_for

STRANGE = ("#", "投篮", "$SYS/+/#", "a/../../b", "x" * 256, "Größe ☂ '; DROP TABLE messages; -- {{ states }}")


def test_nothing_listens_by_default(tmp_path: Path, stream: LiveStream) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        config = write_config(tmp_path, broker.port, {"door": stream.url})
        with daemon(config, tmp_path / "log") as process:
            subscriber.wait_for_topic(f"{BASE}/door/actions/Shine")
            assert len(family(process.pid)) == 2  # the daemon and one camera
            assert doors(process.pid) == []


def test_the_page_for_prometheus_listens_on_loopback_alone(tmp_path: Path, stream: LiveStream) -> None:
    port = free_port()
    with Broker(tmp_path) as broker:
        more = f"[telemetry]\ninterval = 0.2\n[metrics]\nport = {port}\n"
        config = write_config(tmp_path, broker.port, {"door": stream.url}, more)
        with daemon(config, tmp_path / "log") as process:
            wait_for(lambda: doors(process.pid), "the page")
            assert doors(process.pid) == [Door("tcp", f"0100007F:{port:04X}")]


def test_open_ports_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        ports = {door.port for door in doors(os.getpid()) if door.kind != "unix"}
        assert {listener.getsockname()[1], bound.getsockname()[1]} <= ports


def describe(model: Path, labels: list[str]) -> None:
    """Give the model of `write_config` other labels, whatever they are."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    content = onnx.load(str(model))
    text = json.loads(manifests.to_json(replace(MANIFEST, labels=("Shine", "Rest"))))
    text["labels"] = labels
    onnx.helper.set_model_props(content, {manifests.METADATA_KEY: json.dumps(text)})
    onnx.save(content, str(model))


@pytest.mark.parametrize("label", STRANGE)
def test_a_strange_label_stays_below_its_camera(label: str, tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 30)
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        more = "[actions.default]\nstart_score = 0.5\nkeep_score = 0.3\n"
        config = write_config(tmp_path, broker.port, {"door": "video.avi"}, more)
        config.write_text(config.read_text().replace("[outbox]", "snapshots = true\ndiscovery = true\n[outbox]"))
        describe(tmp_path / "tiny.onnx", [label, "Rest"])
        play(config)
        subscriber.wait_for_payload(f"{BASE}/available", b"offline")
        found = subscriber.events()
        assert {event["action"] for event in found} == {label}
        places = {message.topic.rpartition("/") for message in subscriber.messages if "/actions/" in message.topic}
        assert {place for place, _, _ in places} == {f"{BASE}/door/actions"}
        assert {topics.label(name) for _, _, name in places} == {label}
        assert all(re.fullmatch("(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+", name) for _, _, name in places)
        others = {m.topic for m in subscriber.messages if not m.topic.startswith(f"{BASE}/")}
        assert others == {"homeassistant/device/korsal_roof/config"}


@pytest.mark.parametrize("label", ["a\nERROR edge.service.daemon: all is lost", "\ud800", "x" * 65_536])
def test_a_label_that_cannot_be_stored_gives_a_one_sentence_error(label: str, tmp_path: Path) -> None:
    write_video(tmp_path / "video.avi", "#" * 3)
    config = write_config(tmp_path, free_port(), {"door": "video.avi"})
    describe(tmp_path / "tiny.onnx", [label, "Rest"])
    process = start(config)
    _, output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "tiny.onnx: the manifest is " in output
    assert len(output.strip().splitlines()) == 1, output
    assert len(output) < 1000


@pytest.mark.parametrize("name", ["#", "+", "a/b", "$SYS", "a\\u0000b", "a\\nb", "", "x" * 65_536, "ä"])
@pytest.mark.parametrize("table", ["device", "camera", "base", "zone", "discovery_prefix"])
def test_names_in_the_configuration_are_safe_or_refused(table: str, name: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, 1883, {"door": "video.avi"})
    texts = {
        "device": ('name = "roof"', f'name = "{name}"'),
        "camera": ("[cameras.door]", f'[cameras."{name}"]'),
        "base": ("[outbox]", f'base = "{name}"\n[outbox]'),
        "discovery_prefix": ("[outbox]", f'discovery_prefix = "{name}"\n[outbox]'),
        "zone": ("[cameras.door]", f'[cameras.door.zones]\n"{name}" = [[0,0],[1,0],[1,1]]\n[cameras.door]'),
    }
    config.write_text(config.read_text().replace(*texts[table]))
    if (table, name) in (("base", "a/b"), ("discovery_prefix", "a/b")):
        load(config)
        return
    with pytest.raises(ConfigError):
        load(config)


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "security.md").read_text("utf-8")))
    assert len(named) > 50
    absent = [
        (file, name)
        for file, name in named
        if not any(f"def {name}(" in script.read_text("utf-8") for script in (ROOT / "tests").rglob(file))
    ]
    assert absent == []


FAULT = re.compile(r"\| (\d+) \|")
NAME = re.compile(r"`(test_\w+)(?:: ([\w…]+)(?:\[[^`]*)?)?`")  # of a test its file, then a part of its name


def test_every_fault_of_the_other_document_has_a_number_and_tests_that_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    lines = text.partition("## The outbox's file")[0].splitlines()
    faults = [(place, line) for place, line in enumerate(lines) if FAULT.match(line)]
    assert [int(FAULT.findall(line)[0]) for _, line in faults] == list(range(1, len(faults) + 1))
    assert len(faults) > 70
    assert [line for place, line in faults if not lines[place - 1].startswith("|")] == []  # it would be no row
    absent = []
    for file, name in NAME.findall(text):
        scripts = (ROOT / "tests").rglob(f"{file}.py")
        known = [test for script in scripts for test in re.findall(r"def test_(\w+)\(", script.read_text("utf-8"))]
        if not any(all(part in one for part in name.split("…")) for one in known):
            absent.append((file, name))
    assert absent == []
