"""Messages that wait for the broker, in SQLite.

A message is stored before it is sent and leaves when the broker has acknowledged it. Where the disk refuses, messages
are kept in memory and written down as soon as it accepts them again, at the latest when the outbox is closed. Where the
file is damaged, what is intact is recovered from it, and the rest is quarantined, counted and logged.
"""

import contextlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge.broker import outbox_audit, outbox_fallback, outbox_file, outbox_opening, outbox_row, outbox_tables
from edge.broker.delivery_statistics import OutboxStatistics
from edge.broker.message import Message as Message
from edge.broker.message import StoredMessage as StoredMessage
from edge.broker.outbox_audit import Audit
from edge.broker.outbox_events import EventStates
from edge.broker.outbox_eviction import OutboxLimits as OutboxLimits
from edge.broker.outbox_fallback import MemoryFallback
from edge.broker.outbox_file import Change, FreeSpace, OpenRow
from edge.broker.outbox_mark import HighWaterMark, MarkFile
from edge.broker.outbox_row import Row
from edge.broker.outbox_tables import UNREADABLE
from edge.broker.outbox_totals import Totals
from edge.broker.payload import InterruptedEnds

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  # between two tries of a disk that has refused
RETRY_PATIENCE = 0.1  # s that such a try waits for another process to release the file
CLOSE_SECONDS = 3.0  # for the last of these tries
REFUSED = "free the disk, or make the directory writable to this user ([outbox] directory)"
HELD = "end the program that holds it, which may be another korsal-edge with the same [outbox] directory"

ResultT = TypeVar("ResultT")
EndLeftOpen = Callable[[Sequence[Message], int], InterruptedEnds]


class Outbox:
    """A bounded queue on disk. Used by one thread at a time; other threads may call `statistics()`."""

    def __init__(self, path: Path | None, limits: OutboxLimits, end_left_open: EndLeftOpen | None = None) -> None:
        """Open or make the file; None keeps everything in memory. Never raises for what is wrong with the disk.

        `end_left_open` makes the ends of events that an earlier run left open, as soon as the file can be read. It is
        given their last steps, and how many further steps may have been published that are not in the file.
        """
        self._path, self._limits, self._end_left_open = path, limits, end_left_open
        self._lost: Counter[str] = Counter()  # messages and events, by kind
        self._next_id = 1
        self._rows = self._size = self._unsaved = 0
        self._events = EventStates()
        self._fallback: MemoryFallback | None = None
        self._mark = MarkFile(None if path is None else path.with_suffix(".mark"))
        self._totals, self._handed_over = Totals(), 0
        self._gap = 0
        self._audited = False
        self._database = outbox_tables.connect(None)
        if path is not None:
            self._begin(path)

    def put(self, messages: Sequence[Message], now: float) -> None:
        """Store messages in this order, drop what has expired by `now` (unix), make space: all in one transaction."""
        self.maintain()
        wanted = self._events.without_dropped(messages)
        change = self._run(
            lambda database: outbox_file.store(
                database, self._totals, self._as_rows(wanted), now - self._totals.shift, self._free_space()
            )
        )
        self._next_id += len(wanted)
        self._rows += len(wanted)
        self._size += sum(len(message.payload) for message in wanted)
        self._events.received(messages, self._fallback is not None)
        self._apply(change)

    def pending(self, after: int, limit: int, without: Sequence[str] = ()) -> tuple[StoredMessage, ...]:
        """The oldest messages whose id is beyond `after`, in order of storing, without those of some topics.

        Damaged rows among them are quarantined.
        """
        found, damaged = self._run(lambda database: outbox_file.pending(database, after, limit, without))
        while damaged:
            self._quarantine(damaged)
            found, damaged = self._run(lambda database: outbox_file.pending(database, after, limit, without))
        shift = self._totals.shift
        return tuple(StoredMessage(row[0], outbox_row.to_message(row, shift)) for row in found)

    def handed_over(self, messages: Sequence[StoredMessage]) -> None:
        """Before messages are sent: subscribers may receive them, so their events are never dropped whole any more."""
        if messages:
            self._events.published.update(stored.message.event_id for stored in messages)
            self._handed_over = max(self._handed_over, *(stored.id for stored in messages))
            self._write_mark()

    def remove(self, accepted: Iterable[int], refused: Iterable[int] = ()) -> None:
        """Delete accepted rows and, as lost, those that the broker refuses; unknown ids are ignored."""
        ids, unwanted = tuple(accepted), tuple(refused)
        self._apply(self._run(lambda database: outbox_file.remove(database, self._totals, ids, unwanted)))

    def expire(self, now: float) -> None:
        """Drop and count what is too old at `now` (unix time, s)."""
        self.put((), now)

    def clock_moved(self, seconds: float) -> None:
        """The wall clock was set by so much: what waits is neither older nor younger for that."""
        self._totals = self._run(lambda database: outbox_file.shift_clock(database, self._totals, seconds))
        self._write_mark()

    def maintain(self) -> None:
        """Return to a disk that has refused, once it accepts everything again. To be called regularly."""
        if self._fallback is not None and time.monotonic() >= self._fallback.retry_at:
            self._return_to_disk(RETRY_PATIENCE)

    def open_events(self) -> tuple[Message, ...]:
        """The last stored step of every event without an end: after a crash, those that it left open."""
        return self._messages(self._run(outbox_file.open_events))

    def forget_open(self, event_ids: Sequence[str]) -> None:
        """Treat events as ended for which no end can be published."""
        self._run(lambda database: outbox_file.forget_open_events(database, event_ids))

    def statistics(self) -> OutboxStatistics:
        """How full it is and what was lost."""
        updates, events, expired, refused, damaged = (
            self._lost[kind] for kind in ("update", "event", "expired", "refused", "damaged")
        )
        return OutboxStatistics(
            self._rows, self._size, updates, events, expired, refused, self._in_memory, damaged, self._unsaved
        )

    def close(self) -> None:
        """Close the file, after writing what is in memory into it, if the disk accepts that within CLOSE_SECONDS."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._fallback is not None and not self._return_to_disk(RETRY_PATIENCE):
            if not self._unsaved or time.monotonic() >= deadline:
                break
            time.sleep(RETRY_PATIENCE)
        if self._unsaved:
            log.error("outbox %s: the disk refuses to the end; %d messages are lost", self._path, self._unsaved)
        with contextlib.suppress(sqlite3.Error):  # that the disk refuses is in the log
            self._database.close()
        self._mark.close()

    @property
    def _in_memory(self) -> bool:
        return self._path is None or self._fallback is not None

    def _free_space(self) -> FreeSpace:
        return FreeSpace(self._limits.rows - self._rows, self._limits.size - self._size, self._events.published)

    def _as_rows(self, messages: Sequence[Message]) -> list[Row]:
        shift = self._totals.shift
        return [
            outbox_row.from_message(number, message, shift) for number, message in enumerate(messages, self._next_id)
        ]

    def _messages(self, rows: Iterable[OpenRow]) -> tuple[Message, ...]:
        return tuple(outbox_row.to_message((0, *row), self._totals.shift) for row in rows)

    def _apply(self, change: Change) -> None:
        self._totals = change.totals
        self._rows -= change.rows
        self._size -= change.size
        self._events.changed(change)
        self._lost = self._lost + Counter(change.lost)
        self._write_mark()

    def _write_mark(self) -> None:
        fallback, events_ended = self._fallback, False
        if fallback is not None:
            self._unsaved = outbox_fallback.unsaved(self._database, fallback)
            events_ended = outbox_fallback.stored_events_ended(self._database, fallback, self._events.open)
        self._mark.write(HighWaterMark(self._totals, self._handed_over, events_ended))

    def _recount(self) -> None:
        self._rows, self._size, last = outbox_file.usage(self._database)
        self._next_id = max(self._next_id, last + 1)
        self._unsaved = 0 if self._fallback is None else outbox_fallback.unsaved(self._database, self._fallback)
        if not self._in_memory:
            self._lost = Counter(outbox_file.losses(self._database))

    def _run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run one operation; if the disk or the file is the problem, once more on what replaces it."""
        try:
            return work(self._database)
        except UNREADABLE as error:
            if self._in_memory:
                raise
            self._replace(error)
        return work(self._database)

    def _begin(self, path: Path) -> None:
        """Open the file and take over what an earlier run left in it."""
        try:
            file, audit = self._open_file(path, outbox_tables.LOCK_SECONDS)
        except (*UNREADABLE, OSError) as error:
            self._fall_back(error, MemoryFallback(0.0))
            return
        self._switch_to(file, audit.totals)
        self._end_interrupted(outbox_file.open_events(file))

    def _switch_to(self, file: sqlite3.Connection, totals: Totals) -> None:
        """Use this file from now on."""
        self._database.close()
        self._database, self._totals, self._fallback = file, totals, None
        self._events.ended.clear()
        self._recount()
        self._write_mark()

    def _replace(self, error: Exception) -> None:
        """Continue in memory, or in a new file with what could be recovered from the damaged one."""
        database, self._database = self._database, outbox_tables.connect(None)
        fallback, refused = MemoryFallback(0.0), outbox_tables.is_refusal(error)
        if refused:
            fallback = outbox_fallback.copy_to_memory(database, self._database)
        with contextlib.suppress(sqlite3.Error):
            database.close()
        assert self._path is not None
        try:
            if refused:
                raise error
            file, audit = self._open_file(self._path, outbox_tables.LOCK_SECONDS, error)
        except (*UNREADABLE, OSError) as trouble:
            self._fall_back(trouble, fallback)
        else:
            self._switch_to(file, audit.totals)

    def _fall_back(self, error: Exception, fallback: MemoryFallback) -> None:
        remedy = HELD if "locked" in str(error) else REFUSED
        log.warning("outbox %s: %s; events are kept in memory and sent from there: %s", self._path, error, remedy)
        if not self._audited:  # ids that are not in the file, which could not be read
            self._next_id = time.time_ns() // 1000
            self._totals = self._totals if self._mark.found is None else self._mark.found.totals
        self._fallback = replace(fallback, retry_at=time.monotonic() + RETRY_SECONDS)
        self._recount()
        self._totals = replace(self._totals, waiting=self._rows)

    def _return_to_disk(self, patience: float) -> bool:
        """Write into the file what has happened since, and continue there; False where the disk still refuses."""
        fallback, path = self._fallback, self._path
        assert fallback is not None
        assert path is not None
        self._fallback = replace(fallback, retry_at=time.monotonic() + RETRY_SECONDS)
        if not outbox_fallback.may_be_writable(path):
            return False
        try:
            file, _ = self._open_file(path, patience)
        except (*UNREADABLE, OSError):
            return False
        try:
            totals, left_open = outbox_fallback.write_back(
                self._database, file, fallback, self._totals, (self._events.open, self._events.ended)
            )
        except UNREADABLE:
            file.close()
            return False
        self._switch_to(file, totals)
        log.info("outbox %s: the disk accepts events again", path)
        self._end_interrupted(left_open)
        return True

    def _end_interrupted(self, left_open: Sequence[OpenRow]) -> None:
        """End the events that an earlier run left open."""
        if left_open and self._end_left_open is not None:
            found = self._end_left_open(self._messages(left_open), self._gap)
            self.forget_open(found.unreadable)
            self.put(found.ends, time.time())

    def _open_file(
        self, path: Path, patience: float, damage: Exception | None = None
    ) -> tuple[sqlite3.Connection, Audit]:
        """The file, without what is damaged. Raises OSError and UNREADABLE where the disk refuses."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._mark.open()
        known = None if self._audited else self._mark.found
        if known is not None:
            self._handed_over = max(self._handed_over, known.handed_over)
        file, audit = outbox_opening.open_file(path, patience, known, damage, self._expected())
        self._audited = True
        self._gap = max(self._gap, audit.gap)
        self._events.published |= audit.published
        return file, audit

    def _expected(self) -> int | None:
        """How many messages the file should hold, where that is known in this run."""
        if self._fallback is None:
            return self._rows if self._audited else None
        return None if self._fallback.stored_ids is None else len(self._fallback.stored_ids)

    def _quarantine(self, ids: Sequence[int]) -> None:
        """Quarantine rows that were damaged while this runs."""
        self._apply(self._run(lambda database: outbox_file.quarantine(database, self._totals, ids)))
        log.warning("outbox %s: %s", self._path, outbox_audit.quarantined(ids))
