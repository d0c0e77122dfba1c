"""Checks a newly opened outbox file: is everything in it that should be, and as it was stored? Shell.

It compares three things: each row's checksum, the file's own count, and the high-water mark beside it, which also shows
transactions that a damaged write-ahead log has undone.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge.broker import outbox_eviction, outbox_file
from edge.broker.outbox_mark import HighWaterMark
from edge.broker.outbox_recovery import Recovered
from edge.broker.outbox_totals import Totals

NAMED = 5  # damaged messages whose ids are logged


@dataclass(frozen=True)
class Audit:
    """What was found. `gap`: how many steps may have been published that are not in the file.

    `published`: events of which an earlier run may have sent a step; `findings`: sentences for the log.
    """

    totals: Totals
    gap: int
    published: frozenset[str]
    findings: tuple[str, ...]


def audit(file: sqlite3.Connection, mark: HighWaterMark | None) -> Audit:
    """Quarantine what is damaged and count what is missing."""
    own = outbox_file.read_totals(file)
    there, findings = outbox_file.usage(file)[0], []
    ids = outbox_file.damaged(file)
    if ids:
        outbox_file.quarantine(file, own or Totals(), ids)
        findings.append(quarantined(ids))
    if own is None:
        findings.append("its own count is damaged, so whether messages are missing is unknown")
        own = replace(mark.totals, waiting=there) if mark is not None else Totals(waiting=there)
    missing, gap = _behind(own, mark)
    missing += max(0, own.waiting - there)
    if missing:
        findings.append(f"up to {missing} messages that an earlier run stored are missing (disk refused, or damaged)")
    if mark is not None and mark.events_ended and mark.totals.commits > own.commits:
        outbox_file.forget_open_events(file, [row[2] for row in outbox_file.open_events(file)])
    with file:
        if unreadable := outbox_file.delete_damaged_open_events(file):
            findings.append(f"{unreadable} open events are damaged; their end cannot be published")
    return _concluded(file, _newest(own, mark), missing, (gap, findings), mark)


def audit_recovered(
    file: sqlite3.Connection, recovered: Recovered, mark: HighWaterMark | None, expected: int | None
) -> Audit:
    """Fill a new file with what was recovered from a damaged one, which should have held `expected` messages."""
    outbox_file.import_rows(file, recovered.rows, recovered.open_rows)
    own, behind = recovered.totals or Totals(), 0
    if recovered.totals is not None:
        behind = _behind(own, mark)[1]
    elif expected is not None:  # all that is there may have been sent already
        behind = expected
    count = len(recovered.rows)
    missing = 0 if expected is None else min(expected, max(expected - count, behind))
    lost = "how many are lost is unknown" if expected is None else f"up to {missing} are lost"
    findings = [
        f"{count} waiting messages were recovered from it, {lost if missing or expected is None else 'none is lost'}"
    ]
    with file:
        outbox_eviction.count_losses(file, recovered.losses)
    return _concluded(file, _newest(own, mark), missing, (behind, findings), mark)


def quarantined(ids: Sequence[int]) -> str:
    """The sentence for damaged messages."""
    some = ", ".join(map(str, ids[:NAMED])) + (", …" if len(ids) > NAMED else "")
    return f"{len(ids)} waiting messages are damaged; moved to its table `damaged` (id {some}), the others are sent"


def _behind(own: Totals, mark: HighWaterMark | None) -> tuple[int, int]:
    """How many waiting messages are missing at most, and how many had been stored, where the file was set back."""
    if mark is None or mark.totals.commits <= own.commits:
        return 0, 0
    stored = max(0, mark.totals.stored - own.stored)
    return min(stored, mark.totals.waiting), stored


def _newest(own: Totals, mark: HighWaterMark | None) -> Totals:
    if mark is None:
        return own
    commits, stored = max(own.commits, mark.totals.commits), max(own.stored, mark.totals.stored)
    return replace(own, commits=commits, stored=stored)


def _concluded(
    file: sqlite3.Connection, totals: Totals, missing: int, found: tuple[int, list[str]], mark: HighWaterMark | None
) -> Audit:
    """Write the corrected totals. `found`: the gap, and the findings."""
    totals = replace(totals.after(0, 0), waiting=outbox_file.usage(file)[0])
    outbox_file.commit_totals(file, totals, {"damaged": missing})
    published = outbox_eviction.published_before(file, 0 if mark is None else mark.handed_over)
    return Audit(totals, found[0], frozenset(published), tuple(found[1]))
