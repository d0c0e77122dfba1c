"""Events are kept and found again, within their limits, whatever the file and the disk are like."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from edge.history import event_store, judgements, search, store_files, store_tables
from edge.history.event_store import EventStore, KeptStep, StoreLimits
from edge.history.search import EventFilter
from edge.history.store_files import CLIP, PICTURE
from edge.history.store_tables import StoreError
from edge.history.tube_points import TubePoint
from tests.support.other_user import as_nobody, everybodys_folder

WIDE = StoreLimits(1e9, 1 << 40, 1_000_000)
NOW = 1_790_000_000.0


def step(event_id: str, kind: str = "end", at: float = NOW, score: float = 0.5, **fields: Any) -> KeptStep:
    payload = {
        "event_id": event_id,
        "type": kind,
        "seq": 0,
        "camera": "door",
        "action": "Run",
        "top_score": score,
        "started": "2026-09-21T13:33:20.000Z",
        "ended": None,
        "duration": 2.0,
        "zones": [],
        **fields,
    }
    return KeptStep(payload, at)


def point(seconds: float, index: int = 0) -> TubePoint:
    return TubePoint(seconds, index, (0.25, 0.5, 0.75, 1.0), 0.5, True)


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "roof.history.sqlite")


def ids(store: EventStore, **wanted: Any) -> list[str]:
    return [event.event_id for event in search.find(store.path, EventFilter(**wanted))]


def test_an_empty_store_holds_nothing(store: EventStore) -> None:
    assert ids(store) == []
    assert store.usage() == event_store.StoreUsage(0, 0, 0)
    store.prune(StoreLimits(1, 1, 1), NOW)


def test_a_later_step_replaces_the_former_and_none_follows_an_end(store: EventStore) -> None:
    store.write([step("aaaa1", "new", NOW, 0.4), step("aaaa1", "end", NOW + 5, 0.9)], {})
    store.write([step("aaaa1", "update", NOW + 6, 0.1)], {})
    (found,) = search.find(store.path, EventFilter())
    assert (found.score, found.told, found.ended, found.payload["type"]) == (0.9, NOW + 5, True, "end")


def test_a_tube_is_read_as_it_was_written_up_to_the_last_observation(store: EventStore) -> None:
    points = [point(0.0, 7), point(1.0, 32), point(2.5, 70)]
    store.write([step("aaaa1", "new")], {"aaaa1": points[:1]})
    store.write([step("aaaa1")], {"aaaa1": points[1:], "unknown": points})
    assert search.tube(store.path, search.find_one(store.path, "aaaa")) == tuple(points[:2])  # it took 2 s


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["aaaa1", "bbbb2", "cccc3"]),
        ({"action": "Run"}, ["aaaa1", "cccc3"]),
        ({"action": "run"}, []),
        ({"camera": "yard"}, ["bbbb2"]),
        ({"min_score": 0.8}, ["bbbb2"]),
        ({"since": NOW - 20}, ["bbbb2", "cccc3"]),  # cccc3 has not ended
        ({"id_prefix": "cc"}, ["cccc3"]),
        ({"id_prefix": "%"}, []),
    ],
)
def test_events_are_found_by(store: EventStore, wanted: dict[str, Any], found: list[str]) -> None:
    store.write([step("aaaa1", at=NOW - 100), step("bbbb2", score=0.8, camera="yard", action="投篮")], {})
    store.write([step("cccc3", "new", NOW - 100)], {})
    assert ids(store, **wanted) == found


def test_one_event_is_named_by_the_beginning_of_its_id(store: EventStore) -> None:
    store.write([step("aaaa1"), step("aaaa2")], {})
    assert search.find_one(store.path, "aaaa2").event_id == "aaaa2"
    for text, words in (("aaaa", "2 events begin so"), ("aa", "at least 4"), ("bbbb", "holds no event bbbb")):
        with pytest.raises(StoreError, match=words):
            search.find_one(store.path, text)


def test_the_oldest_go_beyond_the_count_and_the_age(store: EventStore) -> None:
    store.write([step(f"aaaa{number}", at=NOW - 100 * (5 - number)) for number in range(5)], {})
    store.prune(StoreLimits(1e9, 1 << 40, 4), NOW)
    assert ids(store) == ["aaaa1", "aaaa2", "aaaa3", "aaaa4"]
    store.prune(StoreLimits(250, 1 << 40, 4), None)  # the clock cannot be trusted
    assert len(ids(store)) == 4
    store.prune(StoreLimits(250, 1 << 40, 4), NOW)
    assert ids(store) == ["aaaa3", "aaaa4"]


def test_what_came_before_the_clock_was_set_is_not_too_old_once_it_is(store: EventStore) -> None:
    store.write([step("aaaa1", at=100.0), step("bbbb2", at=NOW - 1000), step("cccc3", at=NOW)], {})
    store.prune(StoreLimits(500, 1 << 40, 100), NOW)
    assert ids(store) == ["aaaa1", "cccc3"]


def test_clips_go_before_events_where_bytes_are_too_many(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_files, "RESERVED_BYTES", 0)
    for number in range(3):
        store.write([step(f"aaaa{number}")], {f"aaaa{number}": [point(0.0)] * 10})
        assert store.write_media(f"aaaa{number}", CLIP, b"c" * 1000, -1.0)
        assert store.write_media(f"aaaa{number}", PICTURE, b"p" * 100)
    rest = store.usage().size - 3 * 1100
    store.prune(StoreLimits(1e9, rest + 2200, 100), NOW)
    found = search.find(store.path, EventFilter())
    assert [one.clip is not None for one in found] == [False, True, True]
    assert not store.media("aaaa0", PICTURE).exists()
    store.prune(StoreLimits(1e9, rest // 3, 100), NOW)
    assert ids(store) == ["aaaa2"]
    assert list(store.folder.iterdir()) == []


def test_pictures_are_for_this_user_alone_and_of_known_events(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_files, "RESERVED_BYTES", 0)
    store.write([step("aaaa1")], {})
    assert store.write_media("aaaa1", PICTURE, b"jpeg")
    assert not store.write_media("gone", PICTURE, b"jpeg")
    modes = [path.stat().st_mode & 0o777 for path in (store.path, store.folder, store.media("aaaa1", PICTURE))]
    assert modes == [0o600, 0o700, 0o600]


def test_a_nearly_full_disk_takes_no_clip(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_files, "RESERVED_BYTES", 1 << 62)
    store.write([step("aaaa1")], {})
    with pytest.raises(OSError, match="are free on its disk"):
        store.write_media("aaaa1", CLIP, b"mp4")
    assert ids(store) == ["aaaa1"]


def test_what_a_power_cut_leaves_is_ended_and_removed(store: EventStore, tmp_path: Path) -> None:
    store.write([step("aaaa1", "update"), step("bbbb2")], {})
    unnamed, half = store.folder / "gone.mp4", store.folder / "aaaa1.mp4.0123abcd.partial"
    for path in (unnamed, half):
        path.write_bytes(b"half")
        os.utime(path, (NOW - 7200, NOW - 7200))
    young = store.folder / "young.mp4"
    young.write_bytes(b"about to be named")
    os.utime(young, (NOW, NOW))
    store.close()
    again = EventStore(store.path)
    assert again.end_interrupted(NOW) == 1
    assert again.remove_orphans(NOW) == 2
    assert list(again.folder.iterdir()) == [young]
    found = search.find_one(again.path, "aaaa1")
    assert (found.ended, found.payload["type"], found.payload["reason_ended"]) == (True, "end", "interrupted")


def test_a_clip_whose_file_is_gone_is_no_clip(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_files, "RESERVED_BYTES", 0)
    store.write([step("aaaa1")], {})
    store.write_media("aaaa1", CLIP, b"mp4", -2.0)
    assert search.find_one(store.path, "aaaa1").clip_start == -2.0
    store.media("aaaa1", CLIP).unlink()
    assert search.find_one(store.path, "aaaa1").clip is None


def test_a_damaged_row_is_left_out(store: EventStore) -> None:
    store.write([step("aaaa1"), step("bbbb2"), step("cccc3")], {})
    with store.database:
        for event_id, text in (("aaaa1", "[]"), ("bbbb2", '{"half')):
            store.database.execute("UPDATE events SET payload = ? WHERE event_id = ?", (text, event_id))
    assert ids(store) == ["cccc3"]


def test_sums_over_many_events_read_the_index_alone(store: EventStore) -> None:
    (plan,) = store.database.execute(f"EXPLAIN QUERY PLAN {event_store.USAGE}").fetchall()
    assert "COVERING INDEX by_size" in plan[3]


def test_a_newer_store_and_a_foreign_file_stay_as_they_are(tmp_path: Path) -> None:
    for name, version, words in (("newer", store_tables.VERSION + 1, "is of version 3"), ("foreign", 0, "no event st")):
        path = tmp_path / f"{name}.sqlite"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE mine (x)")
            database.execute(f"PRAGMA user_version = {version}")
        database.close()
        before = path.read_bytes()
        for use in (EventStore, lambda path: search.find(path, EventFilter())):
            with pytest.raises(StoreError, match=words):
                use(path)
        assert path.read_bytes() == before


def test_a_damaged_store_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "roof.history.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StoreError, match="is damaged or no event store"):
        search.find(path, EventFilter())
    store = EventStore(path)
    assert store.moved is not None
    assert store.moved.read_bytes().endswith(b"\xff")
    assert ids(store) == []


def test_there_may_be_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"set enabled = true in \[history\]"):
        search.find(tmp_path / "roof.history.sqlite", EventFilter())


def test_nothing_is_too_old_while_the_clock_is_not_trusted() -> None:
    assert event_store.trusted_now(False, None) is None
    assert event_store.trusted_now(True, time.monotonic() - 60) is None
    assert event_store.trusted_now(None, None) == pytest.approx(time.time(), abs=5)
    assert event_store.trusted_now(True, time.monotonic() - 7200) == pytest.approx(time.time(), abs=5)


def test_somebody_else_is_told_who_may_read_it() -> None:
    with everybodys_folder() as place:
        for mode in (0o700, 0o755):
            folder = place / f"state-{mode:o}"
            folder.mkdir(mode)
            EventStore(folder / "roof.history.sqlite").close()
            with as_nobody(), pytest.raises(StoreError, match="sudo -u korsal-edge"):
                search.find(folder / "roof.history.sqlite", EventFilter())


def test_a_store_of_version_1_is_read_as_it_is_and_then_grows(tmp_path: Path) -> None:
    path = tmp_path / "roof.history.sqlite"
    store = EventStore(path)
    store.write([step("aaaa1")], {})
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE judgements")
        database.execute("PRAGMA user_version = 1")
    database.close()
    (found,) = search.find(path, EventFilter())
    assert (found.event_id, found.verdict) == ("aaaa1", "")
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()
    judgements.judge(path, "aaaa1", "right")
    (found,) = search.find(path, EventFilter())
    assert (found.verdict, found.right_action) == ("right", "Run")
    reopened = EventStore(path)
    reopened.prune(StoreLimits(1e9, 1 << 40, 0), None)
    assert reopened.database.execute("SELECT count(*) FROM judgements").fetchone() == (0,)
    reopened.close()
