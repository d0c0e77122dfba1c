"""Bits that flip and files that are cut short: each message arrives as it was stored, or is missed and said so.

KORSAL_DAMAGES sets how many random damages are tried of each kind, KORSAL_DAMAGES_SEED the seed.
"""

import contextlib
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.payload import InterruptedEnds

NOW = 1_800_000_000.0
DAMAGES = int(os.environ.get("KORSAL_DAMAGES", "6"))
SEED = int(os.environ.get("KORSAL_DAMAGES_SEED", "20261128"))
NAME = "roof.outbox.sqlite"
MARK = "roof.outbox.mark"


def message(event_id: str, seq: int, kind: str) -> Message:
    payload = f'{{"event_id": "{event_id}", "seq": {seq}, "type": "{kind}"}}'.ljust(850)
    return Message(f"korsal/roof/door/actions/{event_id}", payload.encode(), event_id, seq, kind, NOW + 3600)


def story(event_id: str) -> list[Message]:
    return [message(event_id, seq, kind) for seq, kind in enumerate(["new", "update", "update", "end"])]


@dataclass(frozen=True)
class Left:
    """What a killed process has left: a folder, what waits there by id, and everything that was ever stored."""

    folder: Path
    waiting: dict[int, Message]
    stored: frozenset[Message]


def feed(outbox: Outbox) -> frozenset[Message]:
    """Ten events; the steps of the first three have been sent and acknowledged; the last has no end. 28 wait."""
    messages = [step for number in range(10) for step in story(f"event{number}")][:-1]
    for first in range(0, len(messages), 3):
        outbox.put(messages[first : first + 3], NOW)
        if first == 12:
            sent = outbox.pending(0, 11)
            outbox.handed_over(sent)
            outbox.remove(row.id for row in sent)
    return frozenset(messages)


def in_the_log(outbox: Outbox) -> None:
    """Everything is in the write-ahead log."""


def half_in_the_log(outbox: Outbox) -> None:
    """Some is in the file, what came later in the write-ahead log."""
    outbox._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    outbox.put(story("later"), NOW)


def in_the_file(outbox: Outbox) -> None:
    """As it is after an orderly end."""
    outbox.close()


@pytest.fixture(scope="module", params=[in_the_log, half_in_the_log, in_the_file], ids=lambda how: how.__name__)
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Left:
    place, copy = tmp_path_factory.mktemp("life"), tmp_path_factory.mktemp("left")
    outbox = Outbox(place / NAME, OutboxLimits())
    messages = feed(outbox)
    rows = outbox.pending(0, 1000)
    request.param(outbox)
    if request.param is half_in_the_log:
        messages, rows = messages | frozenset(story("later")), outbox.pending(0, 1000)
    for file in place.iterdir():
        shutil.copy(file, copy / file.name)
    outbox.close()
    return Left(copy, {row.id: row.message for row in rows}, messages)


def flip(content: bytearray, dice: random.Random) -> bytearray:
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return content


def flip_some(content: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.randint(2, 20)):
        flip(content, dice)
    return content


def garble(content: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(content))
    size = min(dice.choice([1, 16, 512, 4096]), len(content) - start)
    content[start : start + size] = dice.randbytes(size)
    return content


def blank(content: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(content)) // 512 * 512
    size = min(dice.choice([512, 4096]), len(content) - start)
    content[start : start + size] = bytes(size)
    return content


def cut(content: bytearray, dice: random.Random) -> bytearray:
    return content[: dice.randrange(len(content))]


def verdict(left: Left, folder: Path, log_text: Callable[[], str]) -> tuple[str, int]:
    """What became of the damage, and how many messages are missing; fails where something is silent or garbled."""
    with contextlib.closing(Outbox(folder / NAME, OutboxLimits())) as outbox:
        rows = outbox.pending(0, 1000)
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        assert all(row.message in left.stored for row in rows), "a garbled message would have been sent"
        missing = set(left.waiting.values()) - {row.message for row in rows}
        statistics = outbox.statistics()
        assert statistics.rows == len(rows)
        assert not statistics.in_memory, log_text()
        if missing:
            assert NAME in log_text(), f"{len(missing)} messages are missing, and nothing is logged"
            assert statistics.damaged >= len(missing) or "is unknown" in log_text(), log_text()
        outbox.put([message("afterwards", 0, "new")], NOW)
        assert outbox.pending(0, 1000)[-1].message == message("afterwards", 0, "new")
    with contextlib.closing(Outbox(folder / NAME, OutboxLimits())) as again:
        assert len(again.pending(0, 1000)) == len(rows) + 1
        assert again.statistics().damaged == statistics.damaged
    if not missing:
        return "all arrive", 0
    return ("the file is set aside" if "moved to" in log_text() else "some are set aside or missed"), len(missing)


@pytest.mark.parametrize("how", [flip, flip_some, garble, blank, cut], ids=lambda how: how.__name__)
@pytest.mark.parametrize("suffix", ["", "-wal"], ids=["file", "log"])
def test_damage_is_never_silent(
    left: Left, suffix: str, how: Callable[..., bytearray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = left.folder / f"{NAME}{suffix}"
    if not source.exists() or not source.stat().st_size:
        pytest.skip("there is no such file in this state")
    dice, counts = random.Random(f"{SEED} {how.__name__} {suffix}"), Counter[str]()
    for number in range(DAMAGES):
        folder = tmp_path / str(number)
        shutil.copytree(left.folder, folder)
        (folder / source.name).write_bytes(how(bytearray(source.read_bytes()), dice))
        caplog.clear()
        found, missing = verdict(left, folder, lambda: caplog.text)
        counts.update({found: 1, "messages": len(left.waiting), "missing": missing})
        shutil.rmtree(folder)
    print(f"{how.__name__} {suffix or 'file'}: {dict(counts)}")  # noqa: T201


UNREADABLE = {
    "topic": "CAST(x'6bff' AS TEXT)",
    "event_id": "CAST(x'ff6b' AS TEXT)",
    "payload": "x'7bff'",
    "type": "'nev'",
    "seq": "seq + 1",
    "expires": "expires + 1",
    "id": "id + 1000",
    "checksum": "checksum + 1",
}


@pytest.mark.parametrize("column", UNREADABLE)
def test_a_damaged_message_is_quarantined_and_all_others_are_sent_in_order(
    column: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of 31 that wait; SQLite's own check of the file finds nothing wrong with it."""
    messages = [message(f"event{number}", 0, "new") for number in range(31)]
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        outbox.put(messages, NOW)
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as database, database:
        database.execute(f"UPDATE messages SET {column} = {UNREADABLE[column]} WHERE id = 7")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        assert [row.message for row in outbox.pending(0, 100)] == [*messages[:6], *messages[7:]]
        assert (outbox.statistics().damaged, outbox.statistics().in_memory) == (1, False)
    assert caplog.text.count("1 waiting messages are damaged; moved to its table `damaged`") == 1
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        assert outbox.statistics().damaged == 1
    assert len(caplog.records) == 1
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as database:
        assert database.execute("SELECT count(*) FROM damaged").fetchone() == (1,)


def test_damage_that_comes_while_it_runs_is_quarantined_as_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [message(f"event{number}", 0, "new") for number in range(5)]
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        outbox.put(messages, NOW)
        outbox._database.execute("UPDATE messages SET topic = CAST(x'ff' AS TEXT) WHERE id = 1")
        outbox._database.commit()
        assert [row.message for row in outbox.pending(0, 2)] == messages[1:3]
        assert outbox.statistics().rows == 4
        assert not outbox.statistics().in_memory
    assert [record.message.partition(": ")[2][:30] for record in caplog.records] == ["1 waiting messages are damaged"]


def test_the_table_of_damaged_messages_is_bounded(tmp_path: Path) -> None:
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        outbox.put([message(f"event{number}", 0, "new") for number in range(250)], NOW)
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as database, database:
        database.execute("UPDATE messages SET seq = 7")
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        assert (outbox.statistics().rows, outbox.statistics().damaged) == (0, 250)
        assert outbox._database.execute("SELECT count(*), max(id) FROM damaged").fetchone() == (100, 250)


def test_of_damaged_files_the_newest_three_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / NAME).write_bytes(b"no database, however long it may be, that one could read" * 100 + bytes(number))
        Outbox(tmp_path / NAME, OutboxLimits()).close()
    kept = sorted(tmp_path.glob(f"{NAME}.damaged-*"))
    assert [file.stat().st_size % 100 for file in kept] == [2, 3, 4]


def test_what_is_intact_in_a_damaged_file_is_recovered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A page in the midst is lost; what stands before and after it is not."""
    messages = [message(f"event{number}", 0, "new") for number in range(100)]
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        outbox.put(messages, NOW)
    content = bytearray((tmp_path / NAME).read_bytes())
    start = content.index(messages[50].payload[:30]) // 4096 * 4096
    content[start : start + 4096] = bytes(4096)
    (tmp_path / NAME).write_bytes(content)
    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits())) as outbox:
        left = [row.message for row in outbox.pending(0, 1000)]
        lost = [one for one in messages if one not in left]
        assert left == [one for one in messages if one not in lost]
        assert 0 < len(lost) <= 5  # of 850 bytes, on 4096
        assert outbox.statistics().damaged == len(lost)
    assert f"{100 - len(lost)} waiting messages were recovered from it, up to {len(lost)} are lost" in caplog.text


def test_of_what_the_log_lost_an_event_gets_its_end_under_a_new_number(left: Left, tmp_path: Path) -> None:
    """Its steps since may have been told; a number means one thing."""
    log = left.folder / f"{NAME}-wal"
    if not log.exists() or not log.stat().st_size:
        pytest.skip("nothing is in the log in this state")
    if (left.folder / NAME).stat().st_size < 8192:
        pytest.skip("everything is in the log in this state, what goes on too")
    shutil.copytree(left.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / log.name).write_bytes(log.read_bytes()[:1000])
    gaps: list[int] = []

    def end(steps: Sequence[Message], gap: int) -> InterruptedEnds:
        gaps.append(gap)
        return InterruptedEnds((), ())

    with contextlib.closing(Outbox(tmp_path / NAME, OutboxLimits(), end)) as outbox:
        assert gaps == [outbox.statistics().damaged] != [0]
