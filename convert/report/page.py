"""The page of a run's report: what it says, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import edge
from convert.report import tables
from convert.report.advice import FEW_SCENES, advice
from convert.report.charts import Axis, Line, axis_of, line_chart
from convert.report.incidents import LATE, FalseEvent, MissedAction
from convert.report.markup import Html, joined, tag
from convert.report.results import RunResults, Scores
from convert.report.style import STYLE
from train.evaluation.bootstrap import DRAWS, LEVEL
from train.evaluation.event_counts import EventCounts, total
from train.evaluation.plots import is_bookkeeping

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing is fetched or executed


@dataclass(frozen=True, eq=False)
class Pictures:
    """The worst false events and missed actions, each with its picture as a data URI; None: it cannot be drawn."""

    false_events: tuple[tuple[FalseEvent, str | None], ...] = ()
    missed: tuple[tuple[MissedAction, str | None], ...] = ()


def as_html(title: str, results: RunResults, pictures: Pictures, warning: str = "") -> str:
    """The whole file. `title`: of the model and run; `warning`: what to know before reading, or ""."""
    scores = results.scores
    head = joined(
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Html(f"<style>{STYLE}</style>"),
    )
    body = [tag("h1", title), *([tag("p", warning, class_="warning")] if warning else [])]
    body += [_figures(scores)] if scores else []
    body += [_section("What to film next", tag("ul", *(tag("li", one) for one in advice(results))))]
    body += [_section("Scenes", tables.scenes(results.scenes, FEW_SCENES))]
    body += _of_scores(scores, pictures) if scores else []
    body += [_training(results), tag("p", f"korsal-edge {edge.__version__}", class_="soft")]
    return f'<!doctype html>\n<html lang="en"><head>{head.text}</head>\n<body>{joined(*body).text}</body></html>\n'


def _section(title: str, *content: Html) -> Html:
    return tag("section", tag("h2", title), *content)


def _note(text: str) -> Html:
    return tag("p", text, class_="soft")


def _figures(scores: Scores) -> Html:
    """What one wants to know first."""
    every, videos = total(scores.events), scores.document["protocol"]["videos"]
    scenes = len({scores.scene_of[name] for name in scores.videos})
    shown = [
        (
            tables.known(scores.document["frame_map"]["0.5"]),
            f"frame-mAP; {LEVEL} % interval: {tables.interval(scores.mean_interval)}",
        ),
        (f"{every.recalled} of {every.actions}", "actions reported"),
        (f"{every.wrong} of {every.events}", "events wrong"),
        (f"{every.false_alarms}", _alarms(every)),
    ]
    items = (tag("li", tag("strong", figure), words) for figure, words in shown)
    warning = " Start scores were chosen on the same videos, so figures are somewhat too good."
    chosen = warning if scores.split == "validation" else ""
    lead = _note(f"{videos} {scores.split} videos of {scenes} scenes.{chosen}")
    return joined(lead, tag("ul", *items, class_="figures"))


def _alarms(every: EventCounts) -> str:
    """In how much time; by the hour a single one of a few minutes would look like many."""
    rate = "" if np.isnan(every.false_alarms_per_hour) else f"; {every.false_alarms_per_hour:.0f} an hour"
    return f"false alarms in {every.idle_seconds / 60:.1f} minutes without any action{rate}"


def _of_scores(scores: Scores, pictures: Pictures) -> list[Html]:
    wrong = scores.incidents
    interval = (
        f"Percent. Intervals: {LEVEL} % of {DRAWS} draws of whole scenes, with replacement, since frames of one scene "
        "are alike; of a class in fewer than two scenes none is known, and of a handful they are too narrow."
    )
    late = (*wrong.missed, *wrong.late)
    reported = [tables.late(late, scores)] if late else [_note("All were reported in time.")]
    return [
        _section("Actions", tables.classes(scores), _note(interval), *_deviation(scores)),
        _section("Events", tables.events(scores)),
        _section(f"Reported never, or more than {LATE:g} s late", *reported),
        _section(
            "Worst false events", _pictures([_false(*one) for one in pictures.false_events], "No event is wrong.")
        ),
        _section("Worst misses", _pictures([_missed(*one) for one in pictures.missed], "No action was missed.")),
        _section(
            "Taken for another",
            tables.confusion(scores),
            _note(f"Boxes that score at least {scores.report.confusion_score:.2f}, IoU 0.5."),
        ),
        _section("Precision and recall", _curves(scores)),
    ]


def _deviation(scores: Scores) -> list[Html]:
    """Whether what was saved gives other figures than those that were written."""
    written = [scores.document["per_class"][one.label]["frame_ap"]["0.5"] for one in scores.report.classes]
    counted = [tables.percent(one.frame_ap) for one in scores.report.classes]
    if [tables.known(one) for one in written] == counted:
        return []
    text = f"The saved detections give frame-APs of {', '.join(counted)}: intervals, curves and pictures are of these."
    return [tag("p", text, class_="warning")]


def _pictures(figures: Sequence[Html], none: str) -> Html:
    if not figures:
        return _note(none)
    colours = (tag("span", "green", class_="true"), ": annotated. ", tag("span", "orange", class_="found"), ": found.")
    return joined(tag("p", *colours, class_="soft"), tag("div", *figures, class_="pictures"))


def _false(one: FalseEvent, picture: str | None) -> Html:
    words = f"{one.action} {one.event.score:.2f}"
    return _figure(words, tables.place(one.video, one.seconds), picture)


def _missed(one: MissedAction, picture: str | None) -> Html:
    return _figure(f"{one.action}, {one.lasts:.1f} s", tables.place(one.video, one.seconds), picture)


def _figure(words: str, where: str, picture: str | None) -> Html:
    shown = tag("img", src=picture, alt=words) if picture else tag("div", "the frame cannot be read", class_="none")
    return tag("figure", shown, tag("figcaption", tag("b", words), " ", where))


def _curves(scores: Scores) -> Html:
    lines = [
        Line(
            f"{one.label} {tables.percent(one.frame_ap)}",
            np.concatenate([[0.0], points.recall]),
            np.concatenate([[1.0], points.precision]),
        )
        for one, points in zip(scores.report.classes, scores.report.curves, strict=True)
        if points.truths
    ]
    across, up = Axis("recall", 0, 1), Axis("precision", 0, 1)
    return tag("div", line_chart(lines, across, up, "Boxes in frames, IoU 0.5; with AP in percent"), class_="charts")


def _training(results: RunResults) -> Html:
    """Losses, and scores on what was held out, over the samples that were learned from."""
    names = list(results.log)
    if len(names) < 2:
        return _section("Learning", _note("The log of this run cannot be read."))
    steps = results.log[names[0]]
    losses = [name for name in names[1:] if "loss" in name.split("_")]
    scored = [name for name in names[1:] if name not in losses and not is_bookkeeping(name)]
    charts = [_over_samples(steps, results, losses, "Losses"), _over_samples(steps, results, scored, "Scores, percent")]
    return _section("Learning", tag("div", *(one for one in charts if one), class_="charts"))


def _over_samples(steps: NDArray[np.float64], results: RunResults, names: Sequence[str], title: str) -> Html | None:
    lines = [Line(name.replace("_", " "), steps, results.log[name]) for name in names]
    lines = [line for line in lines if np.isfinite(line.y).any()]
    if not lines:
        return None
    return line_chart(lines, axis_of("samples", [steps]), axis_of("", [line.y for line in lines]), title)
