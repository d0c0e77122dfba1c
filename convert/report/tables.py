"""The tables of the report: classes, events, what was reported late, confusion, scenes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from convert.report.incidents import MissedAction
from convert.report.markup import Html, Markup, joined, table, tag
from convert.report.results import ClassScenes, Scores
from train.evaluation.bootstrap import LEVEL, Interval
from train.evaluation.event_counts import COLUMNS, cells, total
from train.evaluation.report_format import as_percent

MOST_ROWS = 50  # of what was reported late or not at all


def classes(scores: Scores) -> Html:
    """Each class and the mean: figures as korsal-evaluate wrote them, and the interval of frame-AP."""
    averages = ("frame-AP 0.5", f"{LEVEL} % interval", "linked", "video-AP 0.5", "video-AP 0.5:0.95")
    head = ("action", *averages, "precision", "recall", "F1", "boxes", "tubes")
    rows: list[tuple[Markup, ...]] = []
    for label, interval in zip(scores.report.labels, scores.intervals, strict=True):
        one = scores.document["per_class"][label]
        aps = (one["frame_ap"], one["linked_frame_ap"], one["video_ap"])
        rows.append((label, *_row(*aps, one, interval), f"{one['boxes']}", f"{one['tubes']}"))
    whole = scores.document
    means = _row(whole["frame_map"], whole["linked_frame_map"], whole["video_map"], whole["mean"], scores.mean_interval)
    return table(head, [*rows, ("mean", *means, "", "")])


def _row(
    frame: Mapping[str, Any],
    linked: Mapping[str, Any],
    video: Mapping[str, Any],
    point: Mapping[str, Any],
    of: Interval,
) -> tuple[str, ...]:
    aps = (known(linked["0.5"]), known(video["0.5"]), known(video["0.5:0.95"]))
    return (known(frame["0.5"]), interval(of), *aps, *(known(point[name]) for name in ("precision", "recall", "f1")))


def known(value: float | None) -> str:
    """A figure in percent; a dash where it is unknown."""
    return "–" if value is None else f"{value:.2f}"


def interval(of: Interval) -> str:
    """From where to where, in percent."""
    return "–" if math.isnan(of.low) else f"{100 * of.low:.1f} to {100 * of.high:.1f}"


def events(scores: Scores) -> Html:
    """Each action at its start score, and all, as `korsal-evaluate events --start-scores` prints them."""
    rows: list[tuple[Markup, ...]] = [
        (f"{label} {start:g}", *cells(counts))
        for label, start, counts in zip(scores.report.labels, scores.start_scores, scores.events, strict=True)
    ]
    return table(("start score", *COLUMNS), [*rows, ("all", *cells(total(scores.events)))])


def late(shown: Sequence[MissedAction], scores: Scores) -> Html:
    """Actions that were reported late or never, and where they are."""
    rows: list[tuple[Markup, ...]] = [
        (one.action, scores.scene_of[one.video], place(one.video, one.seconds), f"{one.lasts:.1f} s", _fate(one))
        for one in shown[:MOST_ROWS]
    ]
    more = f"and {len(shown) - MOST_ROWS} more" if len(shown) > MOST_ROWS else ""
    return joined(
        table(("action", "scene", "video", "lasts", "reported"), rows, words=3), tag("p", more, class_="soft")
    )


def _fate(one: MissedAction) -> str:
    return "never" if one.late is None else f"{one.late:.1f} s late"


def place(video: str, seconds: float) -> str:
    """Where in a video, as a player shows it."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{video}, {int(minutes)}:{rest:04.1f}"


def confusion(scores: Scores) -> Html:
    """Boxes by true (row) and predicted class, coloured by their share of the row."""
    names = (*scores.report.labels, "nothing")
    rows: list[tuple[Markup, ...]] = []
    for name, counts in zip(names, scores.report.confusion.tolist(), strict=True):
        whole = max(sum(counts), 1)
        rows.append((name, *(_cell(count, count / whole) for count in counts)))
    return table(("true ↓ predicted →", *names), rows)


def _cell(count: int, share: float) -> Html:
    return tag("span", f"{count}", class_="share", style=f"background: rgba(var(--share), {0.75 * share:.2f})")


def scenes(shown: Mapping[str, ClassScenes], few: int) -> Html:
    """In how many scenes each action is; those of few are marked."""
    rows: list[tuple[Markup, ...]] = [
        (
            label,
            f"{one.learned_scenes}{' – few' if one.learned_scenes < few else ''}",
            f"{one.learned_tubes}",
            f"{one.scored_scenes}",
            f"{one.scored_tubes}",
        )
        for label, one in shown.items()
    ]
    return table(("action", "scenes to learn from", "tubes there", "scenes scored on", "tubes there"), rows)


def percent(share: float) -> str:
    """A share, 0..1, as a figure of the report."""
    return known(as_percent(share))
