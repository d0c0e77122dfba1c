"""What can be wrong with a broker, caused for real: each fault has its sentence, and heals by itself."""

import socket
import subprocess
import time
from pathlib import Path

import pytest
from broker import Broker, free_port, wait_for
from certificates import make
from publishing import at, event, impatient, publishing

from edge import line
from edge.outbox import Limits, Outbox
from edge.schema import Mqtt, Tls

__all__ = ["impatient"]
pytestmark = pytest.mark.usefixtures("impatient")
LOGIN = "allow_anonymous false\npassword_file {file}"


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
    monkeypatch.setattr(line, "ANSWER_SECONDS", 0.3)
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
