"""A disk that is full or may not be written, for real: a file system of our own where we are root."""

import contextlib
import json
import logging
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edge.broker import outbox as outbox_module
from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.payload import InterruptedEnds, end_interrupted
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Subscriber
from tests.support.event_steps import step
from tests.support.started_daemon import play, write_config, write_video
from tests.support.waiting import wait_for

NOW = 1_800_000_000.0
MANY = OutboxLimits(rows=100_000, size=100_000_000)


def message(seq: int, event_id: str = "a", size: int = 4000) -> Message:
    return Message("korsal/d/door/actions/Dunk", b"x" * size, event_id, seq, "update", NOW * 2)


def waiting(outbox: Outbox) -> list[int]:
    return [row.message.seq for row in outbox.pending(0, 100_000)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system of 1 MiB")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"mounting is not allowed here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the disk at every message."""
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)


def test_a_full_disk_costs_one_warning_and_no_message(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(small_disk / "outbox.sqlite", MANY)
    for seq in range(500):  # 2 MB
        outbox.put([message(seq)], NOW)
    assert waiting(outbox) == list(range(500))
    assert outbox.statistics().in_memory
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "full" in caplog.text
    outbox.close()


@pytest.mark.usefixtures("soon")
def test_when_the_disk_has_room_again_everything_returns_to_it(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ballast, path = small_disk / "ballast", small_disk / "outbox.sqlite"
    outbox = Outbox(path, MANY)
    outbox.put([message(seq) for seq in range(20)], NOW)
    ballast.write_bytes(bytes(small_disk.stat().st_blksize))
    with ballast.open("ab", buffering=0) as file:
        while file.tell() < 1 << 20:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    for seq in range(20, 60):
        outbox.put([message(seq)], NOW)
    assert outbox.statistics().in_memory
    outbox.remove([row.id for row in outbox.pending(0, 10)])  # these were sent in the meantime
    ballast.unlink()
    outbox.put([message(60)], NOW)
    assert not outbox.statistics().in_memory
    assert waiting(outbox) == list(range(10, 61))
    assert "the disk accepts events again" in caplog.text
    outbox.close()
    assert waiting(Outbox(path, MANY)) == list(range(10, 61))


def test_a_disk_that_becomes_read_only_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([message(0)], NOW)
    outbox._database.execute("PRAGMA query_only = ON")  # a file system with open files cannot be remounted
    for seq in range(1, 50):
        outbox.put([message(seq)], NOW)
    assert waiting(outbox) == list(range(50))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "readonly" in caplog.text
    outbox.close()


@pytest.mark.usefixtures("soon")
def test_a_directory_that_is_read_only_at_the_start_is_used_once_it_is_not(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remount(small_disk, "ro")
    outbox = Outbox(small_disk / "state" / "outbox.sqlite", MANY)
    outbox.put([message(0)], NOW)
    assert outbox.statistics().in_memory
    assert "make the directory writable" in caplog.text
    remount(small_disk, "rw")
    outbox.put([message(1)], NOW)
    assert not outbox.statistics().in_memory
    outbox.close()
    assert waiting(Outbox(small_disk / "state" / "outbox.sqlite", MANY)) == [0, 1]


@pytest.mark.usefixtures("soon")
def test_rows_of_an_unreadable_start_come_before_those_of_memory(small_disk: Path) -> None:
    path = small_disk / "outbox.sqlite"
    before = Outbox(path, MANY)
    before.put([message(seq, "old") for seq in range(3)], NOW)
    before.close()
    remount(small_disk, "ro")
    outbox = Outbox(path, MANY)
    outbox.put([message(seq, "new") for seq in range(2)], NOW)
    sent = outbox.pending(0, 1)
    remount(small_disk, "rw")
    outbox.put([message(2, "new")], NOW)
    assert not outbox.statistics().in_memory
    outbox.remove([row.id for row in sent])  # what was in flight is still known by its number
    steps = [*[("old", seq) for seq in range(3)], ("new", 1), ("new", 2)]
    assert [(row.message.event_id, row.message.seq) for row in outbox.pending(0, 10)] == steps
    outbox.close()


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """By another program."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody for long."""
    monkeypatch.setattr("edge.broker.outbox_tables.LOCK_SECONDS", 0.0)
    monkeypatch.setattr(outbox_module, "CLOSE_SECONDS", 0.2)


def filled(path: Path, count: int) -> None:
    outbox = Outbox(path, MANY)
    outbox.put([message(seq, "old", 10) for seq in range(count)], NOW)
    outbox.close()


@pytest.mark.usefixtures("hasty")
def test_what_is_in_memory_is_in_the_file_after_a_plain_stop(tmp_path: Path) -> None:
    """Another program held the file until shortly before: nobody has looked after it since."""
    path = tmp_path / "roof.outbox.sqlite"
    filled(path, 12)
    with held(path):
        outbox = Outbox(path, MANY)
        outbox.put([message(seq, "new", 10) for seq in range(50)], NOW)
        assert outbox.statistics().unsaved == 50
    outbox.close()
    assert (outbox.statistics().rows, outbox.statistics().unsaved) == (62, 0)
    again = Outbox(path, MANY)
    assert waiting(again) == [*range(12), *range(50)]
    assert again.statistics().damaged == 0
    again.close()


@pytest.mark.usefixtures("hasty")
def test_what_a_disk_refuses_to_the_end_is_logged_as_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    filled(path, 12)
    with held(path):
        outbox = Outbox(path, MANY)
        outbox.put([message(seq, "new", 10) for seq in range(50)], NOW)
        outbox.close()
    assert outbox.statistics().unsaved == 50
    assert "the disk refuses to the end; 50 messages are lost" in caplog.text
    again = Outbox(path, MANY)
    assert waiting(again) == list(range(12))
    assert again.statistics().damaged == 50
    assert "up to 50 messages that an earlier run stored are missing" in caplog.text
    again.close()


@pytest.mark.usefixtures("hasty", "soon")
def test_memory_is_written_down_although_nothing_more_happens(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    filled(path, 1)
    with held(path):
        outbox = Outbox(path, MANY)
        outbox.put([message(0, "new", 10)], NOW)
        outbox.maintain()
        assert outbox.statistics().in_memory
    outbox.maintain()
    assert not outbox.statistics().in_memory
    outbox._database.close()  # a kill
    outbox._mark.close()
    assert waiting(Outbox(path, MANY)) == [0, 0]


def ends(open_steps: Sequence[Message], gap: int) -> InterruptedEnds:
    return end_interrupted(open_steps, NOW, NOW * 2, gap)


def steps(outbox: Outbox) -> list[tuple[str, int, str]]:
    return [(row.message.event_id, row.message.seq, row.message.type) for row in outbox.pending(0, 100)]


@pytest.mark.usefixtures("hasty", "soon")
def test_open_events_end_as_soon_as_the_file_is_available(tmp_path: Path) -> None:
    """Killed amid an event; another program holds the file at the next start, in which another event goes on."""
    path = tmp_path / "roof.outbox.sqlite"
    killed = Outbox(path, MANY, ends)
    killed.put([step("old", 0, "new", expires=NOW * 2), step("old", 1, "update", expires=NOW * 2)], NOW)
    killed._database.close()
    killed._mark.close()
    with held(path):
        outbox = Outbox(path, MANY, ends)
        outbox.put([step("now", 0, "new", expires=NOW * 2)], NOW)
    outbox.put([step("now", 1, "update", expires=NOW * 2)], NOW)
    assert steps(outbox) == [
        *[("old", 0, "new"), ("old", 1, "update"), ("now", 0, "new")],
        *[("old", 2, "end"), ("now", 1, "update")],
    ]
    outbox.put([step("now", 2, "end", expires=NOW * 2)], NOW)
    outbox.close()
    again = Outbox(path, MANY, ends)
    assert [kind for _, _, kind in steps(again)].count("end") == 2
    again.close()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("to_the_end", [False, True], ids=["room again", "refused to the end"])
def test_an_event_that_ended_while_the_disk_refused_ends_once(tmp_path: Path, to_the_end: bool) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    outbox = Outbox(path, MANY, ends)
    outbox.put([step("a", 0, "new", expires=NOW * 2)], NOW)
    outbox._database.execute("PRAGMA query_only = ON")
    outbox.put([step("a", 1, "end", expires=NOW * 2)], NOW)
    assert outbox.statistics().in_memory
    assert steps(outbox) == [("a", 0, "new"), ("a", 1, "end")]
    outbox.remove([row.id for row in outbox.pending(0, 10)])
    with held(path) if to_the_end else contextlib.nullcontext():
        outbox.close()
    again = Outbox(path, MANY, ends)
    assert [kind for _, _, kind in steps(again)] == (["new"] if to_the_end else [])  # sent twice, but ended once
    again.close()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("room", ["before the stop", "after the stop"])
def test_after_a_full_disk_no_event_ends_twice(small_disk: Path, room: str) -> None:
    """It is full while an event ends, whose end is sent from memory; then there is room, and a clean start."""
    path, ballast = small_disk / "roof.outbox.sqlite", small_disk / "ballast"
    outbox = Outbox(path, MANY, ends)
    outbox.put([step("a", 0, "new", expires=NOW * 2), step("b", 0, "new", expires=NOW * 2)], NOW)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    seq = 1
    while not outbox.statistics().in_memory:  # the log has some room of its own
        outbox.put([step("b", seq, "update", expires=NOW * 2)], NOW)
        seq += 1
    outbox.put([step("a", 1, "end", expires=NOW * 2), step("b", seq, "end", expires=NOW * 2)], NOW)
    outbox.remove([row.id for row in outbox.pending(0, 10_000)])
    if room == "before the stop":
        ballast.unlink()
    outbox.close()
    ballast.unlink(missing_ok=True)
    again = Outbox(path, MANY, ends)
    assert not again.statistics().in_memory
    assert [kind for _, _, kind in steps(again) if kind == "end"] == []
    assert again.statistics().damaged == 0
    again.close()


@pytest.mark.usefixtures("hasty")
def test_killed_while_the_disk_refuses_an_event_gets_its_end_under_a_new_number(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    outbox = Outbox(path, MANY, ends)
    outbox.put([step("a", 0, "new", expires=NOW * 2)], NOW)
    outbox._database.execute("PRAGMA query_only = ON")
    outbox.put([step("a", seq, "update", expires=NOW * 2) for seq in (1, 2, 3)], NOW)  # these may have been told
    outbox._database.close()
    outbox._mark.close()
    again = Outbox(path, MANY, ends)
    assert steps(again) == [("a", 0, "new"), ("a", 4, "end")]
    assert json.loads(again.pending(0, 10)[-1].message.payload)["seq"] == 4
    again.close()


def test_with_a_full_disk_events_go_out_directly(
    small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "ballast").touch()
    outbox = Outbox(small_disk / "outbox.sqlite", MANY)
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        publisher = Publisher(MqttConfig(host="127.0.0.1", port=broker.port), Topics("korsal", "d"), outbox)
        for number in range(30):
            publisher.publish_event(
                Message("korsal/d/door/actions/Dunk", b'{"seq":%d}' % number + b" " * 60_000, "a", number, "new", 4e9)
            )
        wait_for(lambda: len(subscriber.events()) >= 30, "all events")
        publisher.close(5)
    assert list(dict.fromkeys(event["seq"] for event in subscriber.events())) == list(range(30))
    warnings = [record for record in caplog.records if record.name == "edge.broker.outbox"]
    assert len(warnings) <= 1


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_the_daemon_continues_and_events_are_sent_directly(small_disk: Path, tmp_path: Path, fault: str) -> None:
    """The whole daemon, with its state on a disk that takes nothing."""
    write_video(tmp_path / "video.avi", "." * 5 + "#" * 30 + "." * 40)
    (tmp_path / "state").symlink_to(small_disk)
    if fault == "full":
        with (small_disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
    else:
        remount(small_disk, "ro")
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber:
        output = play(write_config(tmp_path, broker.port, {"door": "video.avi"}))
        subscriber.wait_for_payload("korsal/roof/available", b"offline")
        steps_by_event: dict[str, list[tuple[str, int]]] = {}
        for event in subscriber.events():
            steps_by_event.setdefault(event["event_id"], []).append((event["type"], event["seq"]))
    assert steps_by_event
    for steps in steps_by_event.values():
        assert [seq for _, seq in steps] == list(range(len(steps)))
        assert (steps[0][0], steps[-1][0]) == ("new", "end")
    assert output.count("events are kept in memory and sent from there") == 1
    assert not any(file.stat().st_size for file in small_disk.glob("*.sqlite*"))
