"""Messages that wait for the broker, in SQLite.

A message is stored before it is sent and leaves when the broker has acknowledged it. Where the disk refuses, the
messages are kept in memory and written down as soon as it takes them again, at the latest when the outbox is closed.
Where the file is damaged, what is whole is taken out of it, and the rest is set aside, counted and named.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge.broker import open_events, outbox_audit, outbox_fallback, outbox_file, outbox_opening, outbox_tables
from edge.broker.interruption import InterruptedEnds
from edge.broker.message import Message as Message
from edge.broker.open_events import Row as OpenStep
from edge.broker.outbox_audit import Stock
from edge.broker.outbox_fallback import Absence
from edge.broker.outbox_file import Change, Room
from edge.broker.outbox_mark import MarkFile
from edge.broker.outbox_records import OutboxLimits as OutboxLimits
from edge.broker.outbox_records import OutboxStatistics as OutboxStatistics
from edge.broker.outbox_records import Row as Row
from edge.broker.outbox_row import Stored
from edge.broker.outbox_tables import UNREADABLE
from edge.broker.outbox_totals import Ledger, Mark

log = logging.getLogger(__name__)

RETURN_SECONDS = 5.0  # between two tries to get back to a disk that has refused
RETURN_PATIENCE = 0.1  # s that such a try waits for another process to let go of the file
CLOSE_SECONDS = 3.0  # for the last of these tries
REFUSED = "free the disk, or make the directory writable to this user ([outbox] directory)"
HELD = "end the program that holds it, which may be another korsal-edge with the same [outbox] directory"

Result = TypeVar("Result")
EndLeftOpen = Callable[[Sequence[Message], int], InterruptedEnds]


class Outbox:
    """A bounded queue on disk. Used by one thread at a time; other threads may read `statistics()`."""

    def __init__(self, path: Path | None, limits: OutboxLimits, end_left_open: EndLeftOpen | None = None) -> None:
        """Open or make the file; None keeps everything in memory. Never raises for what is wrong with the disk.

        `end_left_open` makes the ends of events that an earlier run left open, as soon as the file is to be had, be it
        later. It is given their last steps, and how many steps more may have been told that the file knows nothing of.
        """
        self._path, self._limits, self._end_left_open = path, limits, end_left_open
        self._lost: dict[str, int] = {}
        self._next_id = 1
        self._rows = self._size = self._unsaved = 0
        self._going_on: set[str] = set()  # events of this run
        self._ended: set[str] = set()  # of them, those that have ended while the disk refused
        self._begun: set[str] = set()  # events of which a step may have reached the broker
        self._cut_off: set[str] = set()  # events that were dropped and go on: their next steps go as well
        self._absence: Absence | None = None
        self._mark = MarkFile(None if path is None else path.with_suffix(".mark"))
        self._ledger, self._handed_over = Ledger(), 0
        self._gap = 0
        self._stock_taken = False
        self._database = outbox_tables.connect(None)
        if path is not None:
            self._begin(path)

    def put(self, messages: Sequence[Message], now: float) -> None:
        """Store messages in this order, drop what has expired by `now` (unix), make room: all in one transaction."""
        self.tend()
        wanted = [message for message in messages if not self._belongs_to_cut_off(message)]
        change = self._run(
            lambda database: outbox_file.store(
                database, self._ledger, self._as_rows(wanted), now - self._ledger.shift, self._room()
            )
        )
        self._next_id += len(wanted)
        self._rows += len(wanted)
        self._size += sum(len(message.payload) for message in wanted)
        self._follow(wanted)
        self._take(change)

    def pending(self, after: int, limit: int, without: Sequence[str] = ()) -> tuple[Row, ...]:
        """The oldest rows whose id is beyond `after`, in order of storing; those of the topics `without` left out.

        Rows that are not what was stored are set aside.
        """
        found, damaged = self._run(lambda database: outbox_file.pending(database, after, limit, without))
        while damaged:
            self._set_aside(damaged)
            found, damaged = self._run(lambda database: outbox_file.pending(database, after, limit, without))
        shift = self._ledger.shift
        return tuple(Row(row[0], Message(*outbox_file.shifted(row, shift)[1:])) for row in found)

    def handed_over(self, rows: Iterable[Row]) -> None:
        """Before these are sent: their events may be heard of from now on, so that they are no more dropped whole."""
        given = [(row.id, row.message.event_id) for row in rows]
        if given:
            self._begun.update(event_id for _, event_id in given)
            self._handed_over = max(self._handed_over, *(number for number, _ in given))
            self._note()

    def remove(self, arrived: Iterable[int], refused: Iterable[int] = ()) -> None:
        """Forget rows that have arrived, and count those that the broker will not take; unknown ids are ignored."""
        ids, unwanted = tuple(arrived), tuple(refused)
        self._take(self._run(lambda database: outbox_file.remove(database, self._ledger, ids, unwanted)))

    def expire(self, now: float) -> None:
        """Drop and count what is too old at `now` (unix time, s)."""
        self.put((), now)

    def clock_moved(self, seconds: float) -> None:
        """The wall clock was set, by so much: what waits is neither older nor younger for that."""
        self._ledger = self._run(lambda database: outbox_file.moved(database, self._ledger, seconds))
        self._note()

    def tend(self) -> None:
        """Go back to a disk that has refused, if it takes everything again; looks now and then."""
        if self._absence is not None and time.monotonic() >= self._absence.until:
            self._come_back(RETURN_PATIENCE)

    def open_events(self) -> tuple[Message, ...]:
        """The last stored step of every event that has no end yet: after a crash, those that it left open."""
        return self._messages(self._run(open_events.read))

    def forget_open(self, event_ids: Sequence[str]) -> None:
        """Take events for ended whose end cannot be told."""
        self._run(lambda database: open_events.forget(database, event_ids))

    def statistics(self) -> OutboxStatistics:
        """How full it is and what was lost."""
        updates, events, expired, refused, damaged = (
            self._lost.get(kind, 0) for kind in ("update", "event", "expired", "refused", "damaged")
        )
        return OutboxStatistics(
            self._rows, self._size, updates, events, expired, refused, self._in_memory, damaged, self._unsaved
        )

    def close(self) -> None:
        """Leave the file to the next process, with what is in memory, if the disk takes it within CLOSE_SECONDS."""
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._absence is not None and not self._come_back(RETURN_PATIENCE):
            if not self._unsaved or time.monotonic() >= deadline:
                break
            time.sleep(RETURN_PATIENCE)
        if self._unsaved:
            log.error("outbox %s: the disk refuses to the end; %d messages are lost", self._path, self._unsaved)
        with contextlib.suppress(sqlite3.Error):  # a disk that refuses has been told of
            self._database.close()
        self._mark.close()

    @property
    def _in_memory(self) -> bool:
        return self._path is None or self._absence is not None

    def _room(self) -> Room:
        return Room(self._limits.rows - self._rows, self._limits.size - self._size, self._begun)

    def _as_rows(self, messages: Sequence[Message]) -> list[Stored]:
        rows = enumerate(messages, self._next_id)
        plain = [(number, m.topic, m.payload, m.event_id, m.seq, m.type, float(m.expires)) for number, m in rows]
        return [outbox_file.shifted(row, -self._ledger.shift) for row in plain]

    def _messages(self, rows: Iterable[OpenStep]) -> tuple[Message, ...]:
        shift = self._ledger.shift
        return tuple(Message(*outbox_file.shifted((0, *row), shift)[1:]) for row in rows)

    def _belongs_to_cut_off(self, message: Message) -> bool:
        if message.event_id not in self._cut_off:
            return False
        if message.type == "end":
            self._cut_off.discard(message.event_id)
        return True

    def _follow(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.type != "end":
                self._going_on.add(message.event_id)
            elif self._absence is not None:
                self._ended.add(message.event_id)
        ended = {message.event_id for message in messages if message.type == "end"}
        self._going_on -= ended

    def _take(self, change: Change) -> None:
        self._ledger = change.ledger
        self._rows -= change.rows
        self._size -= change.size
        self._cut_off |= change.cut_off
        self._going_on -= change.cut_off
        self._begun |= change.heard_of
        self._begun -= change.ended
        self._count_lost(change.lost)
        self._note()

    def _count_lost(self, lost: Mapping[str, int]) -> None:
        self._lost = {kind: self._lost.get(kind, 0) + lost.get(kind, 0) for kind in {**self._lost, **lost}}

    def _note(self) -> None:
        """Beside the file, how far all this has come."""
        away, overtaken = self._absence, False
        if away is not None:
            self._unsaved = outbox_fallback.unsaved(self._database, away)
            overtaken = outbox_fallback.overtaken(self._database, away, self._going_on)
        self._mark.note(Mark(self._ledger, self._handed_over, overtaken))

    def _recount(self) -> None:
        self._rows, self._size, last = outbox_file.sums(self._database)
        self._next_id = max(self._next_id, last + 1)
        self._unsaved = 0 if self._absence is None else outbox_fallback.unsaved(self._database, self._absence)
        if not self._in_memory:
            self._lost = outbox_file.losses(self._database)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do one piece of work; where the disk or the file is the trouble, once more on what takes its place."""
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
            file, stock = self._open_file(path, outbox_tables.LOCK_SECONDS)
        except (*UNREADABLE, OSError) as error:
            self._leave_disk(error, Absence(0.0))
            return
        self._adopt(file, stock.ledger)
        self._end(open_events.read(file))

    def _adopt(self, file: sqlite3.Connection, ledger: Ledger) -> None:
        """Go on in this file."""
        self._database.close()
        self._database, self._ledger, self._absence = file, ledger, None
        self._ended.clear()
        self._recount()
        self._note()

    def _replace(self, error: Exception) -> None:
        """Go on without the disk, or in a fresh file with what is whole of the damaged one."""
        database, self._database = self._database, outbox_tables.connect(None)
        away = outbox_fallback.copy(database, self._database) if outbox_tables.refuses(error) else Absence(0.0)
        with contextlib.suppress(sqlite3.Error):
            database.close()
        assert self._path is not None
        try:
            if outbox_tables.refuses(error):
                raise error
            file, stock = self._open_file(self._path, outbox_tables.LOCK_SECONDS, error)
        except (*UNREADABLE, OSError) as trouble:
            self._leave_disk(trouble, away)
        else:
            self._adopt(file, stock.ledger)

    def _leave_disk(self, error: Exception, away: Absence) -> None:
        cure = HELD if "locked" in str(error) else REFUSED
        log.warning("outbox %s: %s; events are kept in memory and sent from there: %s", self._path, error, cure)
        if not self._stock_taken:  # so that no id is one of those in the file, which nobody has seen
            self._next_id = time.time_ns() // 1000
            self._ledger = self._ledger if self._mark.found is None else self._mark.found.ledger
        self._absence = replace(away, until=time.monotonic() + RETURN_SECONDS)
        self._recount()
        self._ledger = replace(self._ledger, waiting=self._rows)

    def _come_back(self, patience: float) -> bool:
        """Write into the file what has happened since, and go on there; False where the disk still refuses."""
        away, path = self._absence, self._path
        assert away is not None
        assert path is not None
        self._absence = replace(away, until=time.monotonic() + RETURN_SECONDS)
        if not outbox_fallback.worth_trying(path):
            return False
        try:
            file, _ = self._open_file(path, patience)
        except (*UNREADABLE, OSError):
            return False
        try:
            ledger, left_open = outbox_fallback.give_back(
                self._database, file, away, self._ledger, (self._going_on, self._ended)
            )
        except UNREADABLE:
            file.close()
            return False
        self._adopt(file, ledger)
        log.info("outbox %s: the disk takes events again", path)
        self._end(left_open)
        return True

    def _end(self, left_open: Sequence[OpenStep]) -> None:
        """What an earlier run left open ends now."""
        if left_open and self._end_left_open is not None:
            found = self._end_left_open(self._messages(left_open), self._gap)
            self.forget_open(found.lost)
            self.put(found.ends, time.time())

    def _open_file(
        self, path: Path, patience: float, damage: Exception | None = None
    ) -> tuple[sqlite3.Connection, Stock]:
        """The file, with all that is damaged set aside. Raises OSError and UNREADABLE where the disk refuses."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._mark.open()
        known = None if self._stock_taken else self._mark.found
        if known is not None:
            self._handed_over = max(self._handed_over, known.handed_over)
        file, stock = outbox_opening.open_file(path, patience, known, damage, self._expected())
        self._stock_taken = True
        self._gap = max(self._gap, stock.gap)
        self._begun |= stock.begun
        return file, stock

    def _expected(self) -> int | None:
        """How many messages the file should hold, where that is known in this run."""
        if self._absence is None:
            return self._rows if self._stock_taken else None
        return None if self._absence.shared is None else len(self._absence.shared)

    def _set_aside(self, ids: Sequence[int]) -> None:
        """Damaged while this runs."""
        self._take(self._run(lambda database: outbox_file.set_aside(database, self._ledger, ids)))
        log.warning("outbox %s: %s", self._path, outbox_audit.set_aside(ids))
