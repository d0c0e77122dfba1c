"""Pure. Recall, precision and false alarms of events, and the start scores that are best by these."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

HOUR = 3600.0  # seconds
COLUMNS = ("actions", "recall", "delay s", "events", "precision", "alarms", "alarms/h", "above/h")
BETA = 0.5  # of the F-score by which start scores are chosen: precision weighs more than recall


@dataclass(frozen=True)
class EventCounts:
    """What was published for some videos under one setting, for one action or for all.

    `seconds` of video are annotated, `idle_seconds` of them without a true action. Of the true `actions`, `recalled`
    have a right event; `delays`: seconds from the start of each of these, where it is known, until its first right
    event was published, negative where that was before the start. Of the `events`, `wrong` lie on no true action;
    events that lie outside the annotated frames are not counted. `false_alarms`: wrong events that began while there
    was no action at all. `above_start_score`: people in idle frames whose smoothed score for the action reached the
    start score.
    """

    seconds: float = 0.0
    idle_seconds: float = 0.0
    actions: int = 0
    recalled: int = 0
    delays: tuple[float, ...] = ()
    events: int = 0
    wrong: int = 0
    false_alarms: int = 0
    above_start_score: int = 0

    def __add__(self, other: "EventCounts") -> "EventCounts":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return EventCounts(*(mine + theirs for mine, theirs in pairs))

    @property
    def false_alarms_per_hour(self) -> float:
        """For each hour without an action; nan where there is no such time."""
        return self.false_alarms / self.idle_seconds * HOUR if self.idle_seconds else float("nan")

    @property
    def above_start_score_per_hour(self) -> float:
        """For each hour without an action; nan where there is no such time."""
        return self.above_start_score / self.idle_seconds * HOUR if self.idle_seconds else float("nan")

    @property
    def precision(self) -> float:
        """Share of the events that are right; nan without events."""
        return 1 - self.wrong / self.events if self.events else float("nan")

    @property
    def recall(self) -> float:
        """Share of the actions that have a right event; nan without actions."""
        return self.recalled / self.actions if self.actions else float("nan")

    @property
    def delay(self) -> float:
        """The median of `delays`, seconds; nan where there is none."""
        return float(np.median(self.delays)) if self.delays else float("nan")


def total(counts: Sequence[EventCounts]) -> EventCounts:
    """The counts of several actions in the same videos, added up; the time is the same for all."""
    return replace(sum(counts, EventCounts()), seconds=counts[0].seconds, idle_seconds=counts[0].idle_seconds)


def best_start_scores(
    scores: Sequence[float],
    counts: Sequence[Sequence[EventCounts]],
    background: Sequence[Sequence[EventCounts]] | None = None,
) -> tuple[float | None, ...]:
    """For each label the start score with the best F-score of its events, of equals the middle one, the higher of two.

    So there is as much room below it, for an action whose scores are lower elsewhere, as above it for other things.

    `counts` holds for each of `scores` the counts of each label, `background` those in videos without any action. A
    score at which an event of the label is published there is ruled out, unless no other recalls an action: then these
    events count as wrong ones. None where no score recalls an action.
    """
    chosen: list[float | None] = []
    for label in range(len(counts[0])):
        false = [by_label[label].events for by_label in background] if background else [0] * len(scores)
        recalling = [place for place in range(len(scores)) if counts[place][label].recalled]
        silent = [place for place in recalling if not false[place]]
        judged = {scores[place]: _f_score(_beside(counts[place][label], false[place])) for place in silent or recalling}
        best = max(judged.values(), default=0.0)
        equals = [score for score, found in judged.items() if found == best]
        chosen.append(statistics.median_high(equals) if equals else None)
    return tuple(chosen)


def _beside(counts: EventCounts, false: int) -> EventCounts:
    """The counts with so many events more that are wrong."""
    return replace(counts, events=counts.events + false, wrong=counts.wrong + false)


def _f_score(counts: EventCounts) -> float:
    weighted = BETA**2 * counts.precision + counts.recall
    return (1 + BETA**2) * counts.precision * counts.recall / weighted if weighted else 0.0


def as_table(rows: Sequence[tuple[str, EventCounts]]) -> str:
    """One line for each of the named counts, under a head."""
    first = rows[0][1]
    head = f"watched {first.seconds / HOUR:.2f} h, of which {first.idle_seconds / HOUR:.2f} h without any action"
    width = max(len("start score"), *(len(name) for name, _ in rows))
    lines = [f"{'start score':{width}}" + "".join(f"{name:>10}" for name in COLUMNS)]
    lines += [f"{name:{width}}" + "".join(f"{cell:>10}" for cell in cells(counts)) for name, counts in rows]
    return "\n".join([head, *lines])


def cells(counts: EventCounts) -> tuple[str, ...]:
    """The counts as text, one for each of COLUMNS."""
    return (
        f"{counts.actions}",
        _known("{:.1f} %", 100 * counts.recall),
        _known("{:.2f}", counts.delay),
        f"{counts.events}",
        _known("{:.1f} %", 100 * counts.precision),
        f"{counts.false_alarms}",
        _known("{:.0f}", counts.false_alarms_per_hour),
        _known("{:.0f}", counts.above_start_score_per_hour),
    )


def _known(form: str, value: float) -> str:
    """A dash where the value is unknown."""
    return "-" if np.isnan(value) else form.format(value)
