"""When the outbox's file has been opened: is everything in it that should be, and as it was stored? Shell.

Asked are three things: each row's checksum, the file's own count, and the mark beside it, which knows of transactions
that a damaged write-ahead log has taken back.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.broker import open_events, outbox_eviction, outbox_file
from edge.broker.outbox_recovery import Salvaged
from edge.broker.outbox_totals import Ledger, Mark

NAMED = 5  # messages whose numbers are told


@dataclass(frozen=True)
class Stock:
    """What was found. `gap`: so many steps may have been told that the file knows nothing of.

    `begun`: events of which an earlier run may have sent a step; `sentences`: what is wrong, for the log.
    """

    ledger: Ledger
    gap: int
    begun: frozenset[str]
    sentences: tuple[str, ...]


def take(file: sqlite3.Connection, mark: Mark | None) -> Stock:
    """Set aside what is damaged, count what is missing, and go on from what is there."""
    own = outbox_file.ledger_of(file)
    there, sentences = outbox_file.sums(file)[0], []
    ids = outbox_file.damaged(file)
    if ids:
        outbox_file.set_aside(file, own or Ledger(), ids)
        sentences.append(set_aside(ids))
    if own is None:
        sentences.append("its own count is damaged, so that nobody can tell whether messages are missing")
        own = replace(mark.ledger, waiting=there) if mark is not None else Ledger(waiting=there)
    missing, gap = _behind(own, mark)
    missing += max(0, own.waiting - there)
    if missing:
        sentences.append(f"up to {missing} messages that an earlier run stored are missing (disk refused, or damaged)")
    if mark is not None and mark.overtaken and mark.ledger.commits > own.commits:
        open_events.forget(file, [row[2] for row in open_events.read(file)])
    with file:
        if unreadable := open_events.drop_damaged(file):
            sentences.append(f"{unreadable} events that went on are damaged; their end cannot be told")
    return _settled(file, _newest(own, mark), missing, (gap, sentences), mark)


def take_salvaged(file: sqlite3.Connection, found: Salvaged, mark: Mark | None, expected: int | None) -> Stock:
    """Put into a fresh file what was taken out of a damaged one, where `expected` messages should have been."""
    outbox_file.add(file, found.rows, found.unended)
    own, behind = found.ledger or Ledger(), 0
    if found.ledger is not None:
        behind = _behind(own, mark)[1]
    elif expected is not None:  # perhaps all that is there had been sent already
        behind = expected
    saved = len(found.rows)
    missing = 0 if expected is None else min(expected, max(expected - saved, behind))
    lost = "nobody can tell how many are lost" if expected is None else f"up to {missing} are lost"
    sentences = [
        f"{saved} waiting messages were saved from it, {lost if missing or expected is None else 'none is lost'}"
    ]
    with file:
        outbox_eviction.count_losses(file, found.losses)
    return _settled(file, _newest(own, mark), missing, (behind, sentences), mark)


def set_aside(ids: Sequence[int]) -> str:
    """The sentence for damaged messages."""
    some = ", ".join(map(str, ids[:NAMED])) + (", …" if len(ids) > NAMED else "")
    return f"{len(ids)} waiting messages are damaged; set aside in its table `damaged` (id {some}), the others are sent"


def _behind(own: Ledger, mark: Mark | None) -> tuple[int, int]:
    """How many messages that waited are missing at most, and how many had been stored, where the file was set back."""
    if mark is None or mark.ledger.commits <= own.commits:
        return 0, 0
    stored = max(0, mark.ledger.stored - own.stored)
    return min(stored, mark.ledger.waiting), stored


def _newest(own: Ledger, mark: Mark | None) -> Ledger:
    if mark is None:
        return own
    commits, stored = max(own.commits, mark.ledger.commits), max(own.stored, mark.ledger.stored)
    return replace(own, commits=commits, stored=stored)


def _settled(
    file: sqlite3.Connection, ledger: Ledger, missing: int, told: tuple[int, list[str]], mark: Mark | None
) -> Stock:
    ledger = replace(ledger.after(0, 0), waiting=outbox_file.sums(file)[0])
    outbox_file.write_ledger(file, ledger, {"damaged": missing})
    begun = outbox_eviction.begun_before(file, 0 if mark is None else mark.handed_over)
    return Stock(ledger, told[0], frozenset(begun), tuple(told[1]))
