"""What can be wrong with a broker, caused for real: each fault has its sentence, and heals by itself."""

import contextlib
import logging
import random
import socket
import ssl
import subprocess
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.broker import broker_faults, broker_link, outages
from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.publish_packet import packet_size, properties
from edge.broker.requests import Response
from edge.broker.topics import encode
from edge.config.schema import MqttConfig, TlsConfig
from tests.support.broker import Broker, Relay, Subscriber
from tests.support.certificates import make
from tests.support.ports import free_port
from tests.support.publishing import TOPICS, at, event, impatient, numbers, publishing
from tests.support.waiting import wait_for

__all__ = ["impatient"]
pytestmark = pytest.mark.usefixtures("impatient")
LOGIN = "allow_anonymous false\npassword_file {file}"


def test_a_refused_login_is_logged_once_and_succeeds_once_the_password_is_corrected(
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
                publisher.publish_event(event(0))
                wait_for(lambda: "refused the login" in caplog.text, "the sentence")
                mine.write_text("right horse\n")
                wait_for(lambda: publisher.statistics().online, "the connection")
                wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        assert caplog.text.count("refused the login") == 1
        assert "horse" not in caplog.text
        assert "horse" not in repr(settings)


def test_an_unreadable_password_is_logged_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = MqttConfig(host="127.0.0.1", username="korsal", password_file=tmp_path / "none")
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits())
    with publishing(settings, outbox, flush=0.1) as publisher:
        publisher.publish_event(event(0))
        wait_for(lambda: "password_file" in caplog.text, "the sentence")
    assert [row.message.seq for row in Outbox(tmp_path / "outbox.sqlite", OutboxLimits()).pending(0, 9)] == [0]


def test_a_host_that_does_not_exist_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with publishing(MqttConfig(host="no-such-host.invalid"), flush=0.1):
        wait_for(lambda: "no-such-host.invalid:1883: unknown host name: check [mqtt] host" in caplog.text, "it")


def test_a_server_that_disconnects_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with publishing(MqttConfig(host="127.0.0.1", port=listener.getsockname()[1]), flush=0.1):
            listener.accept()[0].close()
            wait_for(lambda: "disconnected without an answer" in caplog.text, "the sentence")


def test_a_server_that_never_answers_is_given_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_link, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with publishing(MqttConfig(host="127.0.0.1", port=listener.getsockname()[1]), flush=0.1):
            silent = [listener.accept()[0], listener.accept()[0]]  # it dials again
            wait_for(lambda: "no answer within 0.3 s" in caplog.text, "the sentence")
        for connection in silent:
            connection.close()


def test_no_broker_at_all_never_holds_up_the_end() -> None:
    started = time.monotonic()
    with publishing(MqttConfig(host="127.0.0.1", port=free_port()), flush=30) as publisher:
        publisher.publish_event(event(0))
        wait_for(lambda: publisher.statistics().fault, "the fault")
    assert time.monotonic() - started < 10


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("certificates"))


def guarded(folder: Path) -> str:
    return (
        f"allow_anonymous true\ncafile {folder}/ca.crt\ncertfile {folder}/server.crt\nkeyfile {folder}/server.key\n"
        "require_certificate true"
    )


@pytest.mark.parametrize("version", [5, 3])
def test_tls_with_certificates_on_both_sides(tmp_path: Path, certificates: Path, version: int) -> None:
    tls = TlsConfig(ca=certificates / "ca.crt", cert=certificates / "client.crt", key=certificates / "client.key")
    with Broker(tmp_path, guarded(certificates)) as broker:
        settings = MqttConfig(host="127.0.0.1", port=broker.port, tls=tls, version=5 if version == 5 else 3)
        with publishing(settings) as publisher:
            publisher.publish_event(event(0))
            wait_for(lambda: publisher.statistics().online, "the connection")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")


def test_tls_carries_a_flood_over_one_connection(tmp_path: Path, certificates: Path) -> None:
    """Messages go out while acknowledgements come in, all in one thread: OpenSSL allows no other."""
    tls = TlsConfig(ca=certificates / "ca.crt", cert=certificates / "client.crt", key=certificates / "client.key")
    with Broker(tmp_path, guarded(certificates)) as broker:
        with publishing(MqttConfig(host="127.0.0.1", port=broker.port, tls=tls)) as publisher:
            for seq in range(3000):
                publisher.publish_event(event(seq, size=500))
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox", 60)
        assert publisher.statistics().connections == 1


@pytest.mark.parametrize(
    ("tls", "sentence"),
    [
        (
            TlsConfig(ca=Path("other.crt"), cert=Path("client.crt"), key=Path("client.key")),
            "certificate is not trusted",
        ),
        (TlsConfig(ca=Path("server.key")), "files of [mqtt.tls] cannot be used"),
        (
            TlsConfig(ca=Path("ca.crt"), cert=Path("client.crt"), key=Path("server.key")),
            "files of [mqtt.tls] cannot be used",
        ),
        (TlsConfig(ca=Path("ca.crt")), "check"),  # the broker wants a certificate
        (None, "disconnected without an answer"),
    ],
)
def test_tls_that_fails_is_logged(
    tmp_path: Path,
    certificates: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tls: TlsConfig | None,
    sentence: str,
) -> None:
    monkeypatch.chdir(certificates)
    with Broker(tmp_path, guarded(certificates)) as broker:
        settings = MqttConfig(host="127.0.0.1", port=broker.port, tls=tls)
        with publishing(settings, flush=0.1) as publisher:
            wait_for(lambda: publisher.statistics().fault, "the fault")
            assert sentence in str(publisher.statistics().fault)
            assert not publisher.statistics().online


def test_an_expired_certificate_is_logged_and_accepted_once_it_is_renewed(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serving = "allow_anonymous true\ncafile {0}/ca.crt\ncertfile {0}/{1}.crt\nkeyfile {0}/{1}.key"
    broker = Broker(tmp_path, serving.format(certificates, "expired")).start()
    with publishing(
        MqttConfig(host="127.0.0.1", port=broker.port, tls=TlsConfig(ca=certificates / "ca.crt"))
    ) as publisher:
        publisher.publish_event(event(0))
        wait_for(lambda: publisher.statistics().fault, "the fault")
        broker.stop()
        broker.configure(serving.format(certificates, "server"))
        broker.start()
        wait_for(lambda: publisher.statistics().online, "the connection")
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
    broker.stop()
    sentence = (
        "its certificate is not trusted (certificate has expired): renew the broker's certificate, or set the clock"
    )
    assert caplog.text.count(sentence) == 1


def test_a_wrong_authority_is_accepted_once_its_file_is_corrected(tmp_path: Path, certificates: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_bytes((certificates / "other.crt").read_bytes())
    tls = TlsConfig(ca=ca, cert=certificates / "client.crt", key=certificates / "client.key")
    with Broker(tmp_path, guarded(certificates)) as broker:
        with publishing(MqttConfig(host="127.0.0.1", port=broker.port, tls=tls)) as publisher:
            wait_for(lambda: "certificate is not trusted" in str(publisher.statistics().fault), "the fault")
            ca.write_bytes((certificates / "ca.crt").read_bytes())
            wait_for(lambda: publisher.statistics().online, "the connection")
            found = publisher.statistics().broker_payload()
        assert found["online"] is True
        assert found["fault"] is None
        assert "check [mqtt.tls] ca" in str(found["last_fault"])
        assert str(found["last_fault_at"]).endswith("Z")


def test_a_name_that_is_not_in_the_certificate_is_logged(tmp_path: Path, certificates: Path) -> None:
    tls = TlsConfig(ca=certificates / "ca.crt", cert=certificates / "client.crt", key=certificates / "client.key")
    with Broker(tmp_path, guarded(certificates)) as broker:
        settings = MqttConfig(host="localhost", port=broker.port, tls=tls)
        with publishing(settings, flush=0.1) as publisher:
            wait_for(lambda: "the name in [mqtt] host" in str(publisher.statistics().fault), "the fault")


def test_tls_before_1_2_is_refused(certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is what is tested
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        settings = MqttConfig(
            host="127.0.0.1", port=listener.getsockname()[1], tls=TlsConfig(ca=certificates / "ca.crt")
        )
        with publishing(settings, flush=0.1) as publisher:
            with pytest.raises(ssl.SSLError), context.wrap_socket(listener.accept()[0], server_side=True):
                pass
            wait_for(lambda: "TLS with it failed" in str(publisher.statistics().fault), "the fault")


def test_a_broker_that_never_answers_is_given_up_until_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_link, "ANSWER_SECONDS", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    with publishing(MqttConfig(host="127.0.0.1", port=port)) as publisher:
        publisher.publish_event(event(0))
        wait_for(lambda: "no answer within 0.3 s" in str(publisher.statistics().fault), "the fault")
        listener.close()
        monkeypatch.setattr(broker_link, "ANSWER_SECONDS", 15.0)
        with Broker(tmp_path, port=port):
            wait_for(lambda: publisher.statistics().online, "the connection")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
    assert caplog.text.count("no answer within 0.3 s") == 1


@pytest.mark.slow
def test_a_broker_that_stops_responding_is_noticed(tmp_path: Path) -> None:
    """It neither acknowledges nor answers a ping: SIGSTOP."""
    with Broker(tmp_path) as broker, publishing(at(broker, keepalive=5), flush=0.1) as publisher:
        wait_for(lambda: publisher.statistics().online, "the connection")
        broker.freeze()
        publisher.publish_event(event(0))
        wait_for(lambda: publisher.statistics().fault, "the fault")
        assert publisher.statistics().outbox.rows == 1
        broker.thaw()
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")


def test_one_that_drops_again_and_again_is_one_fault(
    broker: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "MANY", 3)
    with Relay(broker.port) as relay, Subscriber(broker.port) as subscriber:
        settings = MqttConfig(host="127.0.0.1", port=relay.port)
        with publishing(settings) as publisher:
            for number in range(1, 7):
                wait_for(lambda: publisher.statistics().connections == number, "the next connection")  # noqa: B023
                publisher.publish_event(event(number))
                wait_for(lambda: numbers(subscriber)[-1:] == [number], "the event")  # noqa: B023
                relay.cut()
            wait_for(lambda: publisher.statistics().online, "the last connection")
            assert "is unstable" in str(publisher.statistics().fault)
            assert caplog.text.count("connection lost") == 3  # twice by itself, once as the reason
            assert caplog.text.count("is unstable, lost 3 times") == 1
            monkeypatch.setattr(outages, "WINDOW", 0.1)
            wait_for(lambda: publisher.statistics().fault is None, "a sound connection")
            wait_for(lambda: caplog.text.count("is stable again") == 1, "that to be logged")


class OldBroker(Relay):
    """A broker for which MQTT 5 is too new, as MQTT 3.1.1 wants it (section 3.1.2.2), in front of a real one."""

    def greet(self, client: socket.socket) -> bytes | None:
        hello = client.recv(4096)
        if hello[8:9] == b"\x05":  # fixed header 2, length and name of the protocol 6, its level
            client.sendall(b"\x20\x02\x00\x01")
            client.close()
            return None
        return hello


def test_a_broker_without_mqtt_5_is_used_with_3_1_1(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with OldBroker(broker.port) as old, Subscriber(broker.port) as subscriber:
        settings = MqttConfig(host="127.0.0.1", port=old.port)
        with publishing(settings) as publisher:
            publisher.publish_event(event(0))
            wait_for(lambda: numbers(subscriber) == [0], "the event")
            assert publisher.statistics().version == 3
            assert publisher.statistics().broker_payload()["version"] == "3.1.1"
            assert "it does not support MQTT 5" in str(publisher.statistics().last_fault)
            old.cut()  # and the next one as well
            publisher.publish_event(event(1))
            wait_for(lambda: numbers(subscriber)[-1:] == [1], "the next event")
    assert "set [mqtt] version = 3, or update the broker" in caplog.text
    assert "connected with MQTT 3.1.1" in caplog.text


def test_another_client_with_our_id_is_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "MANY", 3)
    with publishing(at(broker, client_id="twin")) as first:
        wait_for(lambda: first.statistics().online, "the first")
        with publishing(at(broker, client_id="twin")):
            wait_for(lambda: "each client has its own [mqtt] client_id" in caplog.text, "the sentence")


@pytest.mark.parametrize("place", ["file", "credential", "environment", "environment beside an empty credential"])
def test_a_password_is_read_from_its_source_and_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "correct-horse"
    passwords, folder = tmp_path / "passwords", tmp_path / "credentials"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "korsal", secret], check=True)
    passwords.chmod(0o644)
    folder.mkdir()
    more: dict[str, object] = {}
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if place.startswith("environment"):
        monkeypatch.setenv("KORSAL_MQTT_PASSWORD", secret)
        (folder / "mqtt-password").write_text("\n")
    else:
        (folder / "mqtt-password").write_text(f"{secret}\n")
        monkeypatch.setenv("KORSAL_MQTT_PASSWORD", "of lesser rank")
    if place == "file":
        more["password_file"] = folder / "mqtt-password"
    if place in ("credential", "environment beside an empty credential"):
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    with Broker(tmp_path, LOGIN.format(file=passwords)) as broker:
        settings = at(broker, username="korsal", **more)
        with publishing(settings) as publisher:
            wait_for(lambda: publisher.statistics().online, "the connection")
            shown = repr(settings) + repr(publisher.statistics()) + str(publisher.statistics().broker_payload())
    assert secret not in caplog.text + shown + Path("/proc/self/cmdline").read_text()


def test_what_the_broker_refuses_waits_until_it_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.broker.send_window.HOLD_SECONDS", 0.2)
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite korsal/roof/available\ntopic readwrite korsal/roof/door/actions/Jump\n")
    acl.chmod(0o644)
    with Broker(tmp_path, f"allow_anonymous true\nacl_file {acl}") as broker, publishing(at(broker)) as publisher:
        publisher.publish_event(event(0))
        publisher.publish_event(event(0, "b", action="Jump"))
        wait_for(lambda: publisher.statistics().outbox.rows == 1, "one to go")
        wait_for(lambda: "it refuses korsal/roof/door/actions/Dunk (Not authorized)" in caplog.text, "the sentence")
        acl.write_text("topic readwrite korsal/#\n")
        broker.reload()
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
    assert caplog.text.count("it refuses") == 1
    assert publisher.statistics().outbox.refused == 0


def test_what_is_larger_than_the_broker_accepts_stops_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(tmp_path, "allow_anonymous true\nmax_packet_size 4000") as broker:
        settings = at(broker)
        with Subscriber(broker.port) as subscriber, publishing(settings) as publisher:
            publisher.publish_event(event(0, size=5000))
            publisher.publish_snapshot(TOPICS.snapshot("door", "Dunk"), b"\xff\xd8" + bytes(5000))
            publisher.publish_event(event(1))
            wait_for(lambda: numbers(subscriber) == [1], "the small one")
            subscriber.wait_for_topic(TOPICS.lost)
            assert subscriber.json_on(TOPICS.lost)[-1]["refused"] == 1
            assert publisher.statistics().connections == 1
    assert caplog.text.count("raise its max_packet_size") == 2


def size_of(message: Message) -> int:
    """Bytes of the packet by which an event is published with MQTT 5."""
    return packet_size(replace(message, qos=1), properties(message, time.time()))


@pytest.mark.parametrize("spare", [0, -1])
def test_a_limit_is_used_up_to_its_last_byte(
    spare: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of as many bytes as the broker takes arrive; with a byte more all are dropped, counted and told once."""
    events = [event(number, size=500) for number in range(5)]
    limit = size_of(events[0]) + spare
    broker = Broker(tmp_path, f"allow_anonymous true\nmax_packet_size {limit}")
    with broker, Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        for one in (*events, event(9)):
            publisher.publish_event(one)
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
        wait_for(lambda: numbers(subscriber)[-1:] == [9], "the small one")
        assert numbers(subscriber) == ([9] if spare else [0, 1, 2, 3, 4, 9])
        assert publisher.statistics().outbox.refused == (5 if spare else 0)
        assert publisher.statistics().connections == 1
    expected = f"korsal/roof/door/actions/Dunk is too large for it ({limit + 1} bytes, its limit is {limit})"
    assert caplog.text.count(expected) == (1 if spare else 0)


def test_a_request_whose_answer_is_too_large_gets_an_error(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "allow_anonymous true\nmax_packet_size 500")
    with broker, Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        wait_for(lambda: publisher.statistics().online, "the connection")
        large = {"status": "ok", "data": "x" * 1000, "error": None, "transaction": "t"}
        publisher.publish_response(Response(TOPICS.response("health"), encode(large)))
        subscriber.wait_for_topic(TOPICS.response("health"))
        (answer,) = subscriber.json_on(TOPICS.response("health"))
        assert (answer["status"], answer["transaction"]) == ("error", "t")
        assert "raise its max_packet_size" in answer["error"]


def test_nonsense_from_a_broker_ends_the_connection_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(4)
    heads = [
        b"",
        b"\x20",
        b"\x20\x02\x00\x00",
        b"\x20\x03\x00\x00\x00",
        b"\x20\x03\x00\x00\x00\x30",
        b"\x20\xff\xff\xff\xff",
    ]
    replies = [dice.choice(heads) + dice.randbytes(dice.randint(0, 40)) for _ in range(150)]
    replies += [b"\x20\x09\x00\x00\x06" + dice.randbytes(6) for _ in range(50)]  # properties that are none
    replies += [b"\x20\x03\x00\x00\x00" + dice.randbytes(30) for _ in range(100)]
    uncaught: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: uncaught.append(arguments.exc_value))
    monkeypatch.setattr(outages, "FIRST", 0.001)
    monkeypatch.setattr(outages, "LONGEST", 0.001)
    monkeypatch.setattr("edge.broker.publisher.IDLE_SECONDS", 0.005)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with publishing(MqttConfig(host="127.0.0.1", port=listener.getsockname()[1]), flush=0.1) as publisher:
            for reply in replies:
                with listener.accept()[0] as client:
                    client.recv(4096)
                    with contextlib.suppress(OSError):  # it had heard enough
                        client.sendall(reply)
                        client.shutdown(socket.SHUT_WR)
                        while client.recv(4096):
                            pass
            assert publisher.alive
            wait_for(lambda: publisher.statistics().fault, "the fault")
    assert uncaught == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Session taken over", "give each its own [mqtt] client_id"),
        ("Packet too large", "max_packet_size"),
        ("Server shutting down", "it is shutting down"),
        ("Administrative action", "check the broker's log"),
    ],
)
def test_a_broker_that_gives_a_reason_is_quoted(name: str, remedy: str) -> None:
    sentence = broker_faults.ended(ReasonCode(PacketTypes.DISCONNECT, name), by_broker=True)
    assert remedy in sentence
    assert name in sentence
