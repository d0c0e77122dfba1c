"""What can befall the daemon, its files and its machine, caused for real. Figures: docs/reliability.md."""

import contextlib
import os
import signal
import socket
import sqlite3
from pathlib import Path

import psutil
import pytest

from tests.support.broker import Broker, Relay
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.ports import free_port
from tests.support.real_daemon import BASE, RECORD, Daemon, Witness, timed
from tests.support.waiting import wait_for
from tests.support.waiting_messages import asked, waiting

pytest_plugins = ["tests.support.watched_door"]  # its fixtures


def test_killed_amid_an_event(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    """The last will says so; the next start ends the event."""
    with timed(record_property, "noticed"):
        daemon.kill()
        witness.wait_for_payload(f"{BASE}/available", b"offline")
    daemon.start()
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()
    assert witness.ends() == ["interrupted"]
    daemon.wait_for_log("1 events were open when the last run was interrupted; they end now")


def test_killed_again_and_again(daemon: Daemon, witness: Witness) -> None:
    """Before it is ready, too."""
    for number in range(8):
        wait_for(lambda: daemon.log.count("running tiny") + number % 2 > number // 2, "the start")  # noqa: B023
        daemon.kill()
        daemon.start()
    witness.wait_for_new_steps()


@pytest.mark.slow
def test_stopped_for_longer_than_the_broker_waits(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    daemon.signal(signal.SIGSTOP)
    with timed(record_property, "noticed"):
        witness.wait_for_payload(f"{BASE}/available", b"offline")
    daemon.signal(signal.SIGCONT)
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()
        witness.wait_for_payload(f"{BASE}/available", b"online")


def test_the_configuration_is_gone_or_nonsense(daemon: Daemon, witness: Witness) -> None:
    good = daemon.config.read_bytes()
    daemon.config.unlink()
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log(
        "no such file; copy the shipped config.toml there, or name another with --config; the old configuration"
    )
    for number, nonsense in enumerate((b"", b"\xff", b"[[", good.replace(b"threads", b"treads"), good[:-40])):
        daemon.config.write_bytes(nonsense)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_log("the old configuration stays in force", number + 2)
    witness.wait_for_new_steps()
    daemon.config.write_bytes(good)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log("is in force")


def test_a_storm_of_sighup(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    """Until it has read the configuration a hundred times."""

    def stormed() -> bool:
        daemon.signal(signal.SIGHUP)
        return daemon.log.count("is in force") > 100

    with timed(record_property, "storm"):
        wait_for(stormed, "a hundred times", 60)
    witness.wait_for_new_steps()


def test_the_model_is_replaced_and_removed(daemon: Daemon, witness: Witness) -> None:
    """It is in memory; a reload without it is refused."""
    model = daemon.folder / "tiny.onnx"
    kept = model.read_bytes()
    model.write_bytes(b"no model")
    witness.wait_for_new_steps()
    model.unlink()
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log("model.path: no such file")
    witness.wait_for_new_steps()
    model.write_bytes(kept)


def test_nobody_reads_its_log(fresh: Daemon, witness: Witness) -> None:
    """The pipe of stderr is broken."""
    fresh.prefix = ("sh", "-c", 'exec "$@" 2>&1 | true', "sh")
    with fresh:
        witness.wait_for_new_steps()
        for one in psutil.Process(fresh.process.pid).children(recursive=True):
            if one.cmdline()[1:4] == ["-m", "edge", "run"]:
                one.send_signal(signal.SIGHUP)  # which is told, or would be
                witness.wait_for_new_steps()
                one.send_signal(signal.SIGTERM)
        witness.wait_for_payload(f"{BASE}/available", b"offline")
        witness.nothing_is_missing()


def test_it_has_neither_input_nor_output(fresh: Daemon, witness: Witness) -> None:
    """Started with descriptors 0 to 2 closed, which other files then get."""
    fresh.prefix = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    with fresh:
        witness.wait_for_new_steps()
        fresh.stop()
        witness.nothing_is_missing()


def test_there_are_no_more_descriptors(
    tmp_path: Path, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    """Not one file can be opened, while the camera's process dies and the connection breaks."""
    with Relay(witness.port) as relay, Daemon(tmp_path, relay.port, {"door": camera.url}) as daemon:
        witness.wait_for_new_steps()
        process = psutil.Process(daemon.process.pid)
        limits, held = process.rlimit(psutil.RLIMIT_NOFILE), process.num_fds()
        process.rlimit(psutil.RLIMIT_NOFILE, (3, limits[1]))
        received = len(witness.on(f"{BASE}/telemetry"))
        wait_for(lambda: len(witness.on(f"{BASE}/telemetry")) > received + 3, "telemetry")
        os.kill(daemon.capture_process(), signal.SIGKILL)
        daemon.wait_for_log("its capture process cannot be started: [Errno 24] Too many open files")
        relay.cut()
        daemon.wait_for_log("connection lost")
        daemon.wait_for_log("cannot be reached (Too many open files)")
        process.rlimit(psutil.RLIMIT_NOFILE, limits)
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        wait_for(lambda: process.num_fds() <= held, f"{held} descriptors")
        daemon.stop()
        witness.nothing_is_missing()


def test_there_is_no_more_memory(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    """Not for the daemon, nor for the camera's next process."""
    process = psutil.Process(daemon.process.pid)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, psutil.RLIM_INFINITY))
    os.kill(daemon.capture_process(), signal.SIGKILL)
    witness.camera_is("offline")
    received = len(witness.on(f"{BASE}/telemetry"))
    wait_for(lambda: len(witness.on(f"{BASE}/telemetry")) > received + 15, "telemetry")
    assert witness.payloads(f"{BASE}/door/state")[-1] == b"offline"  # a process of its own needs more than there is
    process.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()


def test_another_program_has_the_port_of_the_metrics(fresh: Daemon, witness: Witness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fresh.config.write_text(f"{fresh.config.read_text()}[metrics]\nport = {taken.getsockname()[1]}\n")
        with fresh:
            fresh.wait_for_log("set another [metrics] port, or stop the program that uses it")
            witness.wait_for_new_steps()
            fresh.stop()
        assert fresh.log.count("WARNING") == 1


def test_the_outbox_is_damaged(tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD) -> None:
    """While it is down, with events waiting: they are lost, and the file is kept and named."""
    port = free_port()
    daemon = Daemon(tmp_path, port, {"door": camera.url})
    with daemon:
        wait_for(lambda: waiting(daemon) > 3, "events that wait")
        daemon.kill()
        content = bytearray(daemon.outbox.read_bytes())
        content[100:] = bytes(7 * number % 256 for number in range(len(content) - 100))
        daemon.outbox.write_bytes(content)
        daemon.outbox.with_name(f"{daemon.outbox.name}-wal").unlink()
        with Broker(tmp_path, port=port), Witness(port) as witness:
            daemon.start()
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
            daemon.stop()
            witness.nothing_is_missing()
    assert daemon.log.count("damaged (") == 1
    assert len(list(daemon.outbox.parent.glob("*.damaged-*"))) >= 1


def test_another_program_holds_the_outbox(fresh: Daemon, witness: Witness) -> None:
    """Events go out from memory."""
    fresh.outbox.parent.mkdir()
    with contextlib.closing(sqlite3.connect(fresh.outbox)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        with fresh:
            fresh.wait_for_log("database is locked; events are kept in memory and sent from there")
            witness.wait_for_new_steps()
            assert witness.telemetry()["queue"]["in_memory"]
            fresh.stop()
            witness.nothing_is_missing()


def test_the_outbox_is_full(tmp_path: Path, camera: FakeHttpCamera) -> None:
    """Updates go before events, and what is lost is counted and told."""
    port = free_port()
    daemon = Daemon(tmp_path, port, {"door": camera.url})
    daemon.edit("[outbox]", "[outbox]\nmax_rows = 10")
    with daemon:
        daemon.wait_for_log("online")
        wait_for(lambda: waiting(daemon) == 10 and losses(daemon).get("update", 0) > 20, "a full outbox")
        with Broker(tmp_path, port=port), Witness(port) as witness:
            witness.wait_for_new_steps()
            witness.wait_for_topic(f"{BASE}/lost")
            lost = witness.json_on(f"{BASE}/lost")[0]
            assert lost["updates"] > 20
            assert (lost["events"], lost["expired"], lost["refused"]) == (0, 0, 0)
            daemon.stop()
        steps = next(iter(witness.steps().values()))
        assert (steps[0], steps[-1][0]) == (("new", 0), "end")


def losses(daemon: Daemon) -> dict[str, int]:
    return dict(asked(daemon, "SELECT kind, count FROM losses"))
