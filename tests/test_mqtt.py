import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker import Broker, Relay, Subscriber, free_port, wait_for

from edge import mqtt
from edge.mqtt import Publisher
from edge.outbox import Limits, Message, Outbox
from edge.schema import Mqtt, Tls
from edge.topics import Topics

TOPICS = Topics("korsal", "roof")
LOGIN = "allow_anonymous false\npassword_file {file}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Dial again after a tenth of a second, so that the tests need not wait."""
    monkeypatch.setattr(mqtt, "DELAYS", (0.1, 0.2))
    caplog.set_level(logging.INFO)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


@contextmanager
def publishing(settings: Mqtt, outbox: Outbox | None = None, flush: float = 5.0) -> Iterator[Publisher]:
    publisher = Publisher(settings, TOPICS, outbox or Outbox(None, Limits()))
    try:
        yield publisher
    finally:
        publisher.close(flush)
        assert not publisher.alive


def at(broker: Broker, **more: object) -> Mqtt:
    return Mqtt.model_validate({"host": "127.0.0.1", "port": broker.port, **more})


def event(seq: int, event_id: str = "a", seconds: float = 60.0) -> Message:
    payload = json.dumps({"event_id": event_id, "seq": seq}).encode()
    return Message(TOPICS.event("door", "Dunk"), payload, event_id, seq, "update", time.time() + seconds)


def numbers(subscriber: Subscriber, event_id: str = "a") -> list[int]:
    return [found["seq"] for found in subscriber.events() if found["event_id"] == event_id]


@pytest.mark.parametrize("version", [5, 3])
def test_events_arrive_in_order_and_leave_the_outbox(broker: Broker, version: int) -> None:
    outbox = Outbox(None, Limits())
    with Subscriber(broker.port) as subscriber, publishing(at(broker, version=version), outbox) as publisher:
        for seq in range(100):
            publisher.event(event(seq))
        wait_for(lambda: len(numbers(subscriber)) == 100, "100 events")
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        assert numbers(subscriber) == list(range(100))
        assert publisher.statistics().in_flight == 0


def test_mqtt_5_says_what_it_carries_and_how_long_it_holds(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        publisher.event(event(0, seconds=100))
        wait_for(lambda: numbers(subscriber), "the event")
        properties = subscriber.on(TOPICS.event("door", "Dunk"))[0].properties
        assert properties is not None
        assert properties.ContentType == "application/json"
        assert 90 <= properties.MessageExpiryInterval <= 100


def test_expiry_is_counted_anew_when_a_message_has_waited(tmp_path: Path) -> None:
    outbox = Outbox(None, Limits())
    outbox.put([event(0, seconds=1000), event(1, seconds=0.2)], now=0.0)
    time_to_expire = time.time() + 0.2
    wait_for(lambda: time.time() > time_to_expire, "the clock")
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber, publishing(at(broker), outbox) as publisher:
        publisher.event(event(2, seconds=50))
        wait_for(lambda: len(numbers(subscriber)) == 2, "two events")
        assert numbers(subscriber) == [0, 2]  # number 1 had become too old
        expiries = [m.properties.MessageExpiryInterval for m in subscriber.on(TOPICS.event("door", "Dunk"))]  # type: ignore[union-attr]
        assert 980 <= expiries[0] <= 1000
        assert expiries[1] <= 50
        assert publisher.statistics().outbox.expired == 1


def test_retained_messages_wait_for_those_who_come_later(broker: Broker) -> None:
    with publishing(at(broker)) as publisher:
        publisher.keep(TOPICS.state("door"), b"online")
        publisher.keep(TOPICS.state("door"), b"stalled")
        publisher.tell(TOPICS.telemetry, b"{}")
        with Subscriber(broker.port) as subscriber:
            subscriber.wait_for_payload(TOPICS.available, b"online")
            subscriber.wait_for_payload(TOPICS.state("door"), b"stalled")
            assert all(message.retain for message in subscriber.on(TOPICS.state("door")))


def test_an_orderly_end_sends_what_waits_and_says_offline(broker: Broker) -> None:
    with Subscriber(broker.port) as subscriber:
        with publishing(at(broker)) as publisher:
            for seq in range(200):
                publisher.event(event(seq))
        subscriber.wait_for_payload(TOPICS.available, b"offline")
        assert numbers(subscriber) == list(range(200))
        last = list(subscriber.messages)[-1]
        assert (last.topic, last.retain) == (TOPICS.available, True)


def test_a_killed_process_leaves_its_last_will_and_its_events(broker: Broker, tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edge.mqtt import Publisher\n"
        "from edge.outbox import Limits, Outbox\n"
        "from edge.schema import Mqtt\n"
        "from edge.topics import Topics\n"
        "settings = Mqtt(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "publisher = Publisher(settings, Topics('korsal', 'roof'), Outbox(Path(sys.argv[2]), Limits()))\n"
        "sys.stdin.read()\n"
    )
    file = tmp_path / "outbox.sqlite"
    process = subprocess.Popen([sys.executable, "-c", program, str(broker.port), str(file)], stdin=subprocess.PIPE)
    with Subscriber(broker.port) as subscriber:
        subscriber.wait_for_payload(TOPICS.available, b"online")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        subscriber.wait_for_payload(TOPICS.available, b"offline")


def test_nothing_is_lost_while_the_broker_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker(tmp_path).start()
    with publishing(at(broker), Outbox(tmp_path / "outbox.sqlite", Limits())) as publisher:
        with Subscriber(broker.port) as subscriber:
            publisher.keep(TOPICS.state("door"), b"online")
            publisher.event(event(0))
            wait_for(lambda: numbers(subscriber) == [0], "the first event")
            broker.stop()
            for seq in range(1, 50):
                publisher.event(event(seq))
            wait_for(lambda: publisher.statistics().outbox.rows == 49, "49 rows")
            wait_for(lambda: "nothing listens there" in caplog.text, "the sentence")
        broker.start()
        with Subscriber(broker.port) as subscriber:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            subscriber.wait_for_payload(TOPICS.state("door"), b"online")
        assert publisher.statistics().connections == 2
        assert caplog.text.count("nothing listens there") == 1
    broker.stop()


def test_events_over_broken_connections_arrive_in_order_and_none_is_missing(broker: Broker, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", Limits())
    with Relay(broker.port) as relay, Subscriber(broker.port) as subscriber:
        settings = Mqtt(host="127.0.0.1", port=relay.port)
        with publishing(settings, outbox) as publisher:
            for start in range(0, 400, 40):
                wait_for(lambda: publisher.statistics().connections > start // 40, "the next connection")  # noqa: B023
                for seq in range(start, start + 40):
                    publisher.event(event(seq))
                wait_for(lambda: numbers(subscriber)[-1:] > [start], "some of them")  # noqa: B023
                relay.cut()
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            assert publisher.statistics().connections == 11
        wait_for(lambda: set(numbers(subscriber)) == set(range(400)), "all events")
    assert list(dict.fromkeys(numbers(subscriber))) == list(range(400))  # without what was sent twice


def test_a_refused_login_is_told_once_and_heals_when_the_password_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords, mine = tmp_path / "passwords", tmp_path / "mine"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "korsal", "right horse"], check=True)
    passwords.chmod(0o644)
    mine.write_text("wrong horse\n")
    for version in (5, 3):
        caplog.clear()
        mine.write_text("wrong horse\n")
        with Broker(tmp_path, LOGIN.format(file=passwords)) as broker:
            settings = at(broker, username="korsal", password_file=mine, version=version)
            with publishing(settings) as publisher:
                publisher.event(event(0))
                wait_for(lambda: "refused the login" in caplog.text, "the sentence")
                mine.write_text("right horse\n")
                wait_for(lambda: publisher.statistics().online, "the connection")
                wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        assert caplog.text.count("refused the login") == 1
        assert "horse" not in caplog.text
        assert "horse" not in repr(settings)


def test_an_unreadable_password_is_told_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Mqtt(host="127.0.0.1", username="korsal", password_file=tmp_path / "none")
    outbox = Outbox(tmp_path / "outbox.sqlite", Limits())
    with publishing(settings, outbox, flush=0.1) as publisher:
        publisher.event(event(0))
        wait_for(lambda: "password_file" in caplog.text, "the sentence")
    assert [row.message.seq for row in Outbox(tmp_path / "outbox.sqlite", Limits()).pending(0, 9)] == [0]


def test_a_host_that_does_not_exist_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with publishing(Mqtt(host="no-such-host.invalid"), flush=0.1):
        wait_for(lambda: "no-such-host.invalid:1883: the name is not known: check [mqtt] host" in caplog.text, "it")


def test_a_server_that_hangs_up_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with publishing(Mqtt(host="127.0.0.1", port=listener.getsockname()[1]), flush=0.1):
            listener.accept()[0].close()
            wait_for(lambda: "hung up without an answer" in caplog.text, "the sentence")


def test_a_server_that_never_answers_is_given_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with publishing(Mqtt(host="127.0.0.1", port=listener.getsockname()[1]), flush=0.1):
            silent = [listener.accept()[0], listener.accept()[0]]  # it dials again
            wait_for(lambda: "no answer within 0.3 s" in caplog.text, "the sentence")
        for connection in silent:
            connection.close()


def test_no_broker_at_all_never_holds_up_the_end() -> None:
    started = time.monotonic()
    with publishing(Mqtt(host="127.0.0.1", port=free_port()), flush=30) as publisher:
        publisher.event(event(0))
        wait_for(lambda: publisher.statistics().fault, "the fault")
    assert time.monotonic() - started < 10


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.crt, server.crt for 127.0.0.1, client.crt, and other.crt, an authority that signed none of them."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        openssl(folder, "req", "-x509", *curve, *files, "-subj", f"/CN={name}", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signer)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def guarded(folder: Path) -> str:
    return (
        f"allow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/server.crt\nkeyfile {folder}/server.key\n"
        "require_certificate true"
    )


@pytest.mark.parametrize("version", [5, 3])
def test_tls_with_certificates_on_both_sides(tmp_path: Path, certificates: Path, version: int) -> None:
    tls = Tls(ca=certificates / "ca.crt", cert=certificates / "client.crt", key=certificates / "client.key")
    with Broker(tmp_path, guarded(certificates)) as broker:
        settings = Mqtt(host="127.0.0.1", port=broker.port, tls=tls, version=5 if version == 5 else 3)
        with publishing(settings) as publisher:
            publisher.event(event(0))
            wait_for(lambda: publisher.statistics().online, "the connection")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")


@pytest.mark.parametrize(
    ("tls", "sentence"),
    [
        (Tls(ca=Path("other.crt"), cert=Path("client.crt"), key=Path("client.key")), "certificate is not trusted"),
        (Tls(ca=Path("server.key")), "files of [mqtt.tls] cannot be used"),
        (Tls(ca=Path("ca.crt"), cert=Path("client.crt"), key=Path("server.key")), "files of [mqtt.tls] cannot be used"),
        (Tls(ca=Path("ca.crt")), "check"),  # the broker wants a certificate
        (None, "hung up without an answer"),
    ],
)
def test_tls_that_cannot_be_is_told(
    tmp_path: Path,
    certificates: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tls: Tls | None,
    sentence: str,
) -> None:
    monkeypatch.chdir(certificates)
    with Broker(tmp_path, guarded(certificates)) as broker:
        settings = Mqtt(host="127.0.0.1", port=broker.port, tls=tls)
        with publishing(settings, flush=0.1) as publisher:
            wait_for(lambda: publisher.statistics().fault, "the fault")
            assert sentence in str(publisher.statistics().fault)
            assert not publisher.statistics().online


def test_topics_of_strange_labels_are_safe() -> None:
    assert TOPICS.event("door", "Walk/#+ Dog\0") == "korsal/roof/door/actions/Walk_Dog_"
    assert TOPICS.event("door", "") == "korsal/roof/door/actions/_"
    assert TOPICS.event("door", "x" * 70_000) == f"korsal/roof/door/actions/{'x' * 64}"
