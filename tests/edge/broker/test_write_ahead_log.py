import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.broker.write_ahead_log import repaired

FRAME = 24 + 4096


def written(path: Path) -> bytes:
    """The log of a database that was killed: 20 transactions of a row each, after a checkpoint that left old frames."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        for number in range(100):
            with database:
                database.execute("INSERT INTO t VALUES (?)", ("old" * 500 + str(number),))
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for number in range(20):
            with database:
                database.execute("INSERT INTO t VALUES (?)", (number,))
        log = path.with_name(f"{path.name}-wal").read_bytes()
        path.with_name("main").write_bytes(path.read_bytes())
    return log


def rows(path: Path, log: bytes) -> int:
    """How many of the 20 SQLite finds in the database with this log."""
    copy = path.with_name("copy")
    copy.write_bytes(path.with_name("main").read_bytes())
    copy.with_name("copy-wal").write_bytes(log)
    with closing(sqlite3.connect(copy)) as database:
        return int(database.execute("SELECT count(*) FROM t WHERE typeof(x) = 'integer'").fetchone()[0])


def test_a_log_that_is_whole_stays_as_it_is(tmp_path: Path) -> None:
    log = written(tmp_path / "db")
    found = repaired(log)
    assert found is not None
    assert log.startswith(found)
    assert len(found) == 32 + 20 * FRAME  # a page each; what is older is left out


@pytest.mark.parametrize("place", [0, 5, 9, 13, 17, 21, 25, 31], ids=lambda place: f"header {place}")
def test_a_flipped_bit_in_its_header_costs_nothing(place: int, tmp_path: Path) -> None:
    log = bytearray(written(tmp_path / "db"))
    log[place] ^= 16
    assert rows(tmp_path / "db", bytes(log)) == 0  # SQLite itself
    found = repaired(bytes(log))
    assert found is not None
    assert rows(tmp_path / "db", found) == 20


@pytest.mark.parametrize("place", [9, 14, 18, 22, 24 + 4090], ids=lambda place: f"frame {place}")
def test_a_flipped_bit_in_a_frame_costs_no_later_one(place: int, tmp_path: Path) -> None:
    log = bytearray(written(tmp_path / "db"))
    log[32 + 10 * FRAME + place] ^= 16
    assert rows(tmp_path / "db", bytes(log)) == 10
    found = repaired(bytes(log))
    assert found is not None
    assert rows(tmp_path / "db", found) == 20


@pytest.mark.parametrize("log", [b"", bytes(31), bytes(32), b"\xff" * 5000])
def test_what_is_no_log_is_not_made_one(log: bytes) -> None:
    found = repaired(log)
    assert found is None or len(found) == 32 + FRAME
