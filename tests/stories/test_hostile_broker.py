"""What a broker that means harm can do, and a client of an honest one; docs/security.md names these tests."""

import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.broker import outages
from edge.broker.requests import Request
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Subscriber
from tests.support.hostile_broker import CONNACK, Conversation, hostile, number, publish, text
from tests.support.logged_daemon import daemon
from tests.support.publishing import TOPICS, event, impatient, publishing
from tests.support.started_daemon import BASE, LiveStream, write_config
from tests.support.waiting import wait_for

__all__ = ["impatient"]
REQUEST = TOPICS.request("health").encode()
MEBIBYTE = 1 << 20


def at_port(port: int) -> MqttConfig:
    return MqttConfig(host="127.0.0.1", port=port)


@pytest.fixture
def uncaught(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What ended a thread."""
    found: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: found.append(arguments.exc_value))
    return found


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.usefixtures("impatient")
def test_endless_requests_are_dropped_and_counted(uncaught: list[object]) -> None:
    """Retained or not, 32 wait; the others are counted and forgotten."""
    flood = publish(REQUEST, b"x" * 1000, retain=True) * 1000
    sent = threading.Event()

    def converse(client: socket.socket) -> None:
        for _ in range(30):
            client.sendall(flood)
        sent.set()
        client.recv(4096)

    before = resident()
    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        wait_for(sent.is_set, "the flood")
        wait_for(lambda: publisher.statistics().dropped_requests >= 30_000 - 32, "the count", 60)
        assert len(publisher.take_requests()) == 32
        assert publisher.alive
    assert resident() - before < 60 * MEBIBYTE
    assert uncaught == []


@pytest.mark.usefixtures("impatient")
def test_a_giant_request_is_not_kept(uncaught: list[object]) -> None:
    """Nor is the next one kept from us by it."""
    chunk = b"x" * MEBIBYTE

    def converse(client: socket.socket) -> None:
        topic = text(REQUEST)
        client.sendall(b"\x30" + number(len(topic) + 1 + 250 * MEBIBYTE) + topic + b"\0")
        for _ in range(250):
            client.sendall(chunk)
        client.sendall(publish(TOPICS.request("reload").encode(), b"{}"))
        client.recv(4096)

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        found: list[Request] = []
        with memory_stays():
            wait_for(lambda: found.extend(publisher.take_requests()) or len(found) == 2, "both requests", 60)
        assert [(request.op, request.payload) for request in found] == [("health", None), ("reload", b"{}")]
        assert broker.connections == 1
    assert uncaught == []


@contextlib.contextmanager
def memory_stays() -> Iterator[None]:
    """At no moment more than 30 MiB above the beginning, the broker's own included."""
    before, most, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, resident())

    watching = threading.Thread(target=watch)
    watching.start()
    yield
    done.set()
    watching.join()
    assert most - before < 30 * MEBIBYTE


def without_release(client: socket.socket) -> None:
    """Messages of QoS 2, each with a number of its own, without end."""
    while True:
        for high in range(256):
            packets = (text(REQUEST) + bytes([high, low]) + b"\0" + b"x" * 1000 for low in range(256))
            client.sendall(b"".join(b"\x34" + number(len(one)) + one for one in packets))


def giant_connack(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"\x20\xff\xff\xff\x7f\x00\x00\xfb\xff\xff\x7f")
    for _ in range(250):
        client.sendall(bytes(MEBIBYTE))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("version", [5, 3])
@pytest.mark.parametrize(
    ("attack", "polite"),
    [(without_release, True), (giant_connack, False)],
    ids=["QoS 2 without release", "a giant CONNACK"],
)
def test_memory_is_bounded_whatever_a_broker_sends(
    attack: Conversation, polite: bool, version: Literal[5, 3], uncaught: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    with hostile(attack, polite) as broker:
        settings = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
        with publishing(settings, flush=0.1) as publisher, memory_stays():
            wait_for(lambda: broker.connections > 3, "the connection after the next but one", 60)
            assert publisher.alive
    assert "what it sends is not MQTT" in caplog.text
    assert uncaught == []


@pytest.mark.usefixtures("impatient")
def test_a_megabyte_of_properties_takes_no_time(uncaught: list[object]) -> None:
    """paho would need half a minute for these, and its thread answers nobody meanwhile."""

    def converse(client: socket.socket) -> None:
        client.sendall(publish(REQUEST, b"{}", b"\x26\x00\x00\x00\x00" * 100_000 + b"\x08" + text(b"here")))
        client.recv(4096)

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        found: list[Request] = []
        wait_for(lambda: found.extend(publisher.take_requests()) or found, "the request", 10)
        assert found[0].response_topic == "here"
    assert uncaught == []


@pytest.mark.usefixtures("impatient")
def test_a_released_message_of_qos_2_is_received(uncaught: list[object]) -> None:
    """Some brokers can be told to send with the QoS of who published."""

    def converse(client: socket.socket) -> None:
        for low in range(100):
            one = text(REQUEST) + bytes([0, low + 1]) + b"\0{}"
            client.sendall(b"\x34" + number(len(one)) + one + b"\x62\x02" + bytes([0, low + 1]))
        while client.recv(4096):
            pass

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        found: list[Request] = []

        def all_received() -> bool:
            found.extend(publisher.take_requests())
            return len(found) + publisher.statistics().dropped_requests == 100

        wait_for(all_received, "all of them")
        assert broker.connections == 1
    assert uncaught == []


PROPERTIES = {
    "a response topic with wildcards": b"\x08" + text(b"korsal/#"),
    "no UTF-8": b"\x08" + text(b"\xff\xfe"),
    "half a surrogate": b"\x08" + text(b"\xed\xa0\x80"),
    "NUL": b"\x08" + text(b"a\0b"),
    "a response topic of 64 KiB": b"\x08" + text(b"x" * 65_535),
    "correlation data of 64 KiB": b"\x09" + text(b"x" * 65_535),
    "the same twice": b"\x08" + text(b"a") * 2,
    "an unknown one": b"\x7f\x00",
    "one of CONNACK": b"\x21\x00\x01",
    "a length beyond the packet": b"\x08\xff\xff",
    "a subscription identifier without end": b"\x0b\xff\xff\xff\xff\xff",
    "user properties": (b"\x26" + text(b"k") + text(b"v" * 1000)) * 500,
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("properties", PROPERTIES.values(), ids=PROPERTIES.keys())
def test_properties_out_of_bounds_cost_a_connection_at_most(properties: bytes, uncaught: list[object]) -> None:
    def converse(client: socket.socket) -> None:
        client.sendall(publish(REQUEST, b"{}", properties))
        client.sendall(publish(TOPICS.request("reload").encode(), b"{}"))
        while client.recv(4096):
            pass

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        seen: list[str] = []

        def judged() -> bool:
            seen.extend(request.op for request in publisher.take_requests())
            return "reload" in seen or broker.connections > 2

        wait_for(judged, "the next request, or the next connection")
        assert publisher.alive
    assert uncaught == []


def test_packets_of_chance_cost_a_connection_at_most(uncaught: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a friendly beginning; test_broker_faults.py has nonsense from the first byte on."""
    monkeypatch.setattr(outages, "FIRST", 0.001)
    monkeypatch.setattr(outages, "LONGEST", 0.001)
    monkeypatch.setattr("edge.broker.publisher.IDLE_SECONDS", 0.005)
    dice = random.Random(11)
    kinds = [0x20, 0x30, 0x32, 0x34, 0x3D, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0, 0x00, 0x10, 0x82]

    def packet() -> bytes:
        body = dice.randbytes(dice.choice([0, 1, 2, 3, 5, 20, 200]))
        return bytes([dice.choice(kinds), len(body) & 0x7F]) + body

    def converse(client: socket.socket) -> None:
        client.sendall(b"".join(packet() for _ in range(dice.randint(1, 20))))
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        wait_for(lambda: broker.connections > 150, "many connections", 60)
        assert publisher.alive
    assert uncaught == []


@pytest.mark.usefixtures("impatient")
def test_acknowledgements_of_what_was_never_sent_remove_nothing(uncaught: list[object]) -> None:
    """A broker can only acknowledge what it was given; it can lie about that, and then it is lost."""
    strange = b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in range(1000, 3000))

    def converse(client: socket.socket) -> None:
        client.sendall(strange)
        while client.recv(65_536):
            pass

    with hostile(converse) as broker, publishing(at_port(broker.port), flush=0.1) as publisher:
        wait_for(lambda: publisher.statistics().online, "the connection")
        for action in "ABCDE":  # a topic gets one message until it has been taken
            publisher.publish_event(event(0, action, action=action))
        wait_for(lambda: publisher.statistics().in_flight == 5, "five in flight")
        assert publisher.statistics().outbox.rows == 5
    assert uncaught == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "granted",
    [b"\x21\x00\x00", b"\x27\x00\x00\x00\x00", b"\x27\x00\x00\x00\x01", b"\x25\x00", b"\x13\x00\x00"],
    ids=["no window", "no packet", "packets of a byte", "nothing retained", "no keep-alive"],
)
def test_a_broker_that_grants_nothing_loses_nothing(granted: bytes, tmp_path: Path, uncaught: list[object]) -> None:
    """One that takes QoS 0 alone loses what it is sent: `test_capabilities`."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            client.recv(4096)
            client.sendall(b"\x20" + bytes([3 + len(granted)]) + CONNACK[2:4] + bytes([len(granted)]) + granted)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with publishing(at_port(listener.getsockname()[1]), flush=0.1) as publisher:
            publisher.publish_event(event(0))
            wait_for(lambda: publisher.statistics().connections or publisher.statistics().fault, "an opinion")
            turned = publisher.last_active
            wait_for(lambda: publisher.last_active > turned, "another round")
            stands = publisher.statistics().outbox
            assert stands.rows + stands.refused == 1
        listener.shutdown(socket.SHUT_RDWR)
    assert uncaught == []


def asking(port: int) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


@pytest.mark.slow
def test_a_flood_of_requests_stops_no_camera(tmp_path: Path, stream: LiveStream) -> None:
    with Broker(tmp_path, "allow_anonymous true\nmax_queued_messages 0") as broker, Subscriber(broker.port) as listener:
        config = write_config(tmp_path, broker.port, {"door": stream.url}, "[telemetry]\ninterval = 0.5\n")
        with daemon(config, tmp_path / "log") as process:
            listener.wait_for_payload(f"{BASE}/door/state", b"online")
            client = asking(broker.port)
            for number in range(3000):
                op = ("health", "config-get", "config-set", "snapshot", "nonsense")[number % 5]
                client.publish(f"{BASE}/request/{op}", b'{"data": {"x": 1}}' * (number % 3), qos=0)
            before = len(listener.on(f"{BASE}/telemetry"))
            wait_for(lambda: len(listener.on(f"{BASE}/telemetry")) > before + 4, "telemetry", 60)
            reports = [json.loads(payload) for payload in listener.payloads(f"{BASE}/telemetry")]
            assert reports[-1]["frames"]["door"] > reports[before]["frames"]["door"]
            assert process.poll() is None
            client.disconnect()
        assert "Traceback" not in (tmp_path / "log").read_text()


HARMFUL = [
    "korsal/roof/door/actions/Shine",
    "korsal/roof/available",
    "korsal/other/available",
    "$SYS/x",
    "homeassistant/x",
]


def test_an_answer_goes_to_no_topic_at_which_we_speak_ourselves(tmp_path: Path, stream: LiveStream) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as listener:
        config = write_config(tmp_path, broker.port, {"door": stream.url})
        with daemon(config, tmp_path / "log"):
            listener.wait_for_payload(f"{BASE}/door/state", b"online")
            client = asking(broker.port)
            for topic in (*HARMFUL, "elsewhere/answer"):
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.ResponseTopic = topic
                client.publish(f"{BASE}/request/health", json.dumps({"transaction": topic}), 1, properties=properties)
            listener.wait_for_topic("elsewhere/answer")
            wait_for(lambda: len(listener.on(f"{BASE}/response/health")) == len(HARMFUL), "the other answers")
            topics_used = {message.topic for message in list(listener.messages) if b"transaction" in message.payload}
            assert topics_used == {f"{BASE}/response/health", f"{BASE}/request/health", "elsewhere/answer"}
            client.disconnect()


def test_a_configuration_is_read_only_for_requests_unless_it_allows_them(tmp_path: Path, stream: LiveStream) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as listener:
        config = write_config(tmp_path, broker.port, {"door": stream.url})
        before = config.read_text()
        with daemon(config, tmp_path / "log"):
            listener.wait_for_payload(f"{BASE}/door/state", b"online")
            client = asking(broker.port)
            client.publish(f"{BASE}/request/config-set", json.dumps({"data": {"log": {"level": "error"}}}), 1)
            listener.wait_for_topic(f"{BASE}/response/config-set")
            assert listener.json_on(f"{BASE}/response/config-set")[0]["status"] == "error"
            client.disconnect()
        assert config.read_text() == before
