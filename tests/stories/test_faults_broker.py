"""What can befall the broker and the way to it, caused for real under a running daemon. Figures: docs/reliability.md.

Nothing is missing: an independent subscriber has all steps of all events, none out of order. It hangs directly on the
broker; a gate lets the daemon in only once it has subscribed, for a broker that was killed forgets who listened.
"""

import contextlib
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.broker import Broker, Relay
from tests.support.chaos import Gate
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.ports import free_port
from tests.support.real_daemon import BASE, RECORD, Daemon, Witness, timed
from tests.support.waiting import wait_for

pytest_plugins = ["tests.support.watched_door"]  # its fixtures


def test_killed_and_started_again(
    tmp_path: Path, broker: Broker, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    gate = Gate(broker.port)
    gate.open()
    with Witness(broker.port) as witness, Daemon(tmp_path, gate.port, {"door": camera.url}) as daemon:
        for times in (1, 2):
            witness.wait_for_new_steps()
            gate.shut()
            broker.stop()
            daemon.wait_for_log("connection lost", times=1)
            camera.bright = False  # what goes on ends meanwhile, and is told later
            broker.start()
            wait_for(lambda: witness.subscriptions == times + 1, "the witness's subscription")  # noqa: B023
            gate.open()
            camera.bright = True
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
        daemon.stop()
        witness.nothing_is_missing()


def test_not_there_at_the_start(tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD) -> None:
    port = free_port()
    with Daemon(tmp_path, port, {"door": camera.url}) as daemon:
        daemon.wait_for_log("nothing listens there: start the broker")
        with Broker(tmp_path, port=port), Witness(port) as witness:
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
            daemon.stop()
            witness.nothing_is_missing()


@pytest.mark.slow
@pytest.mark.parametrize(("keepalive", "seconds"), [(5, 5), (30, 15)])
def test_accepts_the_connection_and_never_answers(
    keepalive: int, seconds: int, tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    """The shorter of the keepalive and our own patience counts."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    daemon = Daemon(tmp_path, port, {"door": camera.url})
    daemon.edit("keepalive = 5", f"keepalive = {keepalive}")
    with daemon:
        with contextlib.closing(listener), timed(record_property, "noticed"):
            daemon.wait_for_log(f"no answer within {seconds} s: check [mqtt] host and port")
        with Broker(tmp_path, port=port), Witness(port) as witness:
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
            daemon.stop()
            witness.nothing_is_missing()


@pytest.mark.slow
def test_stops_responding(tmp_path: Path, broker: Broker, camera: FakeHttpCamera, record_property: RECORD) -> None:
    """It is stopped for longer than the keepalive of 5 s."""
    with Witness(broker.port) as witness, Daemon(tmp_path, broker.port, {"door": camera.url}) as daemon:
        witness.wait_for_new_steps()
        broker.freeze()
        with timed(record_property, "noticed"):
            daemon.wait_for_log("connection lost")
        broker.thaw()
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        daemon.stop()
        witness.nothing_is_missing()


def test_the_network_is_cut_again_and_again(
    tmp_path: Path, broker: Broker, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    with contextlib.ExitStack() as owned:
        relay, witness = owned.enter_context(Relay(broker.port)), owned.enter_context(Witness(broker.port))
        with Daemon(tmp_path, relay.port, {"door": camera.url}) as daemon:
            for _ in range(3):
                witness.wait_for_new_steps()
                relay.cut()
                with timed(record_property, "recovered"):
                    witness.wait_for_new_steps()
            assert daemon.log.count("the connection is unstable, lost 3 times") == 1  # and that is all from then on
            wait_for(lambda: "is unstable" in str(witness.json_on(f"{BASE}/status")[-1]["broker"]["fault"]), "status")
            daemon.stop()
            witness.nothing_is_missing()


def test_a_wrong_password_that_is_corrected(tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD) -> None:
    passwords, mine = tmp_path / "passwords", tmp_path / "mine"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "korsal", "right horse"], check=True)
    passwords.chmod(0o644)
    mine.write_text("wrong horse")
    # Who listens needs no password: a second listener of the same broker.
    open_port = free_port()
    rules = f"per_listener_settings true\nallow_anonymous false\npassword_file {passwords}\n"
    with Broker(tmp_path, f"{rules}listener {open_port} 127.0.0.1\nallow_anonymous true") as broker:
        daemon = Daemon(tmp_path, broker.port, {"door": camera.url})
        daemon.edit("keepalive = 5", 'keepalive = 5\nusername = "korsal"\npassword_file = "mine"')
        with Witness(open_port) as witness, daemon:
            daemon.wait_for_log("it refused the login: check [mqtt] username and the password")
            mine.write_text("right horse")
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
            daemon.stop()
            witness.nothing_is_missing()
            assert "refused the login" in witness.json_on(f"{BASE}/status")[-1]["broker"]["last_fault"]
    assert daemon.log.count("refused the login") == 1
    assert "horse" not in daemon.log


def test_a_twin_with_the_same_name(
    tmp_path: Path, broker: Broker, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    """Each throws the other out; both say what to look for, and once there is one alone all is well."""
    folder = tmp_path / "twin"
    folder.mkdir()
    with Witness(broker.port) as witness, Daemon(tmp_path, broker.port, {"door": camera.url}) as daemon:
        witness.wait_for_new_steps()
        with FakeHttpCamera() as other, Daemon(folder, broker.port, {"yard": other.url}) as twin:
            for one in (daemon, twin):
                one.wait_for_log("check the network, and that each client has its own [mqtt] client_id")
            twin.stop()
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        daemon.stop()
        witness.nothing_is_missing()


def test_a_flood_of_requests(tmp_path: Path, broker: Broker, camera: FakeHttpCamera, record_property: RECORD) -> None:
    """Five thousand of them, most of them wrong, some of the largest that are read."""
    nonsense = [b"", b"\xff\xfe", b"[]", b'{"transaction": {}}', b'{"data": 1}', b"9" * 60_000, b"[" * 60_000]
    topics = [f"{BASE}/request/{op}" for op in ("health", "reload", "config-set", "snapshot", "no-such", "a" * 200)]
    asker = Client(CallbackAPIVersion.VERSION2)
    asker.connect("127.0.0.1", broker.port)
    asker.loop_start()
    with Witness(broker.port) as witness, Daemon(tmp_path, broker.port, {"door": camera.url}) as daemon:
        witness.wait_for_new_steps()
        with timed(record_property, "flood"):
            last = [asker.publish(topics[n % 6], nonsense[n % 7], n % 2) for n in range(5000)][-1]
            last.wait_for_publish(60)
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        # asked again and again: mosquitto may still be dropping what it cannot queue for us
        wait_for(lambda: asker.publish(topics[0], b'{"transaction": "after"}') and any(after(witness)), "an answer")
        assert after(witness)[0]["data"]["well"]
        daemon.stop()
        witness.nothing_is_missing()
    asker.loop_stop()


def after(witness: Witness) -> list[dict[str, Any]]:
    return [one for one in witness.json_on(f"{BASE}/response/health") if one["transaction"] == "after"]
