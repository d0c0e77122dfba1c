"""What can befall the file in which events wait, with a whole daemon. Figures: docs/reliability.md."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.broker.outbox_mark import decoded
from tests.support.broker import Broker, Subscriber
from tests.support.event_streams import faults
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.ports import free_port
from tests.support.real_daemon import BASE, Daemon, Witness
from tests.support.waiting import wait_for
from tests.support.waiting_messages import waiting

pytest_plugins = ["tests.support.watched_door"]  # its fixtures


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """By another program."""
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version")
        other.execute("BEGIN EXCLUSIVE")
        yield


def rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM messages").fetchone()[0])


def stored(daemon: Daemon) -> int:
    """How many messages there have been, by the mark beside the outbox, which is written in memory's time too."""
    found = decoded(daemon.outbox.with_suffix(".mark").read_bytes())
    return 0 if found is None else found[1].totals.stored


@pytest.mark.slow
def test_what_is_in_memory_waits_for_the_next_start(tmp_path: Path, camera: FakeHttpCamera) -> None:
    """No broker, and another program has the file until just before the stop."""
    port = free_port()
    daemon = Daemon(tmp_path, port, {"door": camera.url})
    with daemon:
        wait_for(lambda: waiting(daemon) > 3, "events that wait")
        daemon.kill()
        with held(daemon.outbox):
            daemon.start()
            daemon.wait_for_log("database is locked; events are kept in memory")
            daemon.wait_for_log("running tiny", 2)
            before = stored(daemon)
            wait_for(lambda: stored(daemon) > before + 3, "events in memory")
        daemon.stop()
        left = int(daemon.log.rpartition("stopped; ")[2].split()[0])
        assert rows(daemon.outbox) == left > 0
        assert "are lost" not in daemon.log
        with Broker(tmp_path, port=port), Witness(port) as witness:
            daemon.start()
            witness.wait_for_new_steps()
            daemon.stop()
            witness.wait_for_payload(f"{BASE}/available", b"offline")
            witness.nothing_is_missing()
            assert faults(witness.events()) == []


@pytest.mark.slow
def test_open_events_end_once_the_file_is_available(daemon: Daemon, witness: Witness) -> None:
    """Killed amid an event, and another program holds the file at the next start, for seconds."""
    daemon.kill()
    with held(daemon.outbox):
        daemon.start()
        daemon.wait_for_log("database is locked; events are kept in memory")
        witness.wait_for_new_steps()
        assert "interrupted" not in witness.ends()
    wait_for(lambda: "interrupted" in witness.ends(), "the end of what the kill has cut off")
    assert daemon.log.count("running tiny") == 2


def events_of(subscriber: Subscriber, base: str) -> list[dict[str, Any]]:
    return [
        json.loads(one.payload) for one in subscriber.messages if one.topic.startswith(f"{base}/roof/door/actions/")
    ]


def test_two_daemons_with_one_state_directory(daemon: Daemon, witness: Witness, camera: FakeHttpCamera) -> None:
    """The second keeps its events in memory, and the first one's file is left alone."""
    second = Daemon(daemon.folder, witness.port, {"door": camera.url})
    second.edit("[mqtt]\n", '[mqtt]\nclient_id = "second"\nbase = "second"\n')
    second.config = second.config.rename(daemon.folder / "second.toml")
    second._log = daemon.folder / "second.log"
    with Subscriber(witness.port) as other, second:
        second.wait_for_log("database is locked; events are kept in memory")
        wait_for(lambda: len(events_of(other, "second")) > 3, "events of the second")
        witness.wait_for_new_steps()
        second.stop()
        other.wait_for_payload("second/roof/available", b"offline")
        assert faults(events_of(other, "second")) == []
    assert not list(daemon.outbox.parent.glob("*.damaged-*"))
