"""Shell. `korsal-evaluate events`: the events that saved detections would give, and the best start scores."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from edge.default_linker import DefaultLinker
from edge.event_settings import ActionSettings, EventSettings
from edge.terminal import progress
from edge.terminal.arguments import fraction
from train import output_paths
from train.datasets import loader
from train.evaluation import detection_file, start_scores
from train.evaluation import options as shared
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_counts import EventCounts, as_table, best_start_scores, total
from train.evaluation.event_judgement import Truth
from train.evaluation.event_metrics import (
    count_events,
    settings_at,
    settings_by_action,
    truth_by_video,
)
from train.evaluation.options import RATE_OF_FILE, frame_rate
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import EvaluationError, of_split

CANDIDATES = tuple(hundredth / 100 for hundredth in range(6, 92, 2))  # start scores to choose from


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("detections", type=Path, help="an .npz file of `korsal-evaluate detect`")
    shared.add_data(parser, required=False)
    shared.add_split(parser)
    shared.add_rate(parser)
    rules = parser.add_mutually_exclusive_group()
    rules.add_argument(
        "--start-score",
        type=fraction,
        nargs="+",
        default=[ActionSettings.start_score],
        help=f"one line for each; keep_score keeps its proportion to it; default: {ActionSettings.start_score}",
    )
    rules.add_argument(
        "--start-scores", type=Path, metavar="FILE", help="those that --choose wrote, a line for each action"
    )
    rules.add_argument(
        "--choose",
        type=Path,
        metavar="OUT.json",
        help="write the start scores of each action that suit it best, for korsal-convert export --start-scores",
    )
    parser.add_argument(
        "--quiet",
        type=Path,
        metavar="NPZ",
        help="for --choose: detections of videos without any action; no score is chosen at which they give an event, "
        "where another finds an action",
    )
    parser.add_argument(
        "--quiet-shows",
        nargs="+",
        default=[],
        metavar="ACTION",
        help="actions that happen in those all the same, as walking in a street: they do not keep these quiet",
    )
    parser.add_argument(
        "--least",
        type=fraction,
        default=CANDIDATES[0],
        help="for --choose: no lower score, where the data hardly show anything but actions; %(default)s",
    )
    parser.add_argument("--quiet-rate", type=frame_rate, help=f"frames per second of those; default: {RATE_OF_FILE}")


def run(options: argparse.Namespace) -> None:
    """Count the events that the daemon would publish of saved detections, and those of them that are right.

    An action is recalled by an event of its class that lies on it (IoU 0.3) in at least one frame. Alarms are events
    that begin where there is no action at all, by the hour without one.
    """
    if options.quiet_shows and not options.quiet:
        raise EvaluationError(
            f"--quiet-shows {options.quiet_shows[0]}: says of --quiet videos what they show; name them"
        )
    if options.quiet and not options.choose:
        raise EvaluationError(f"{options.quiet}: is only used to choose start scores; give --choose OUT.json too")
    found = _detections(options.detections, options.rate)
    truth, counted = _truth(options, found)
    if options.choose:
        _choose(found, truth, counted, options)
    elif options.start_scores:
        _print_by_action(found, truth, counted, options)
    else:
        _print_by_score(found, truth, counted, options)
    print(_next(options))


def _detections(file: Path, rate: float | None) -> SavedDetections:
    """What was detected in the videos of the file. Raises ColumnError, EvaluationError."""
    found = detection_file.load(file, dense=True).at_rate(rate)
    if not (found.video_names and found.label_names):
        lacking = "action" if found.video_names else "video"
        raise EvaluationError(f"{file}: names no {lacking}, so it has no events; detect again, and give that file")
    return found


def _print_by_action(found: SavedDetections, truth: Truth, counted: Sequence[int], options: argparse.Namespace) -> None:
    own = start_scores.load(options.start_scores)
    if unknown := sorted(own.keys() - set(found.label_names)):
        raise EvaluationError(
            f"{options.start_scores}: has {unknown[0]}, which {options.detections} has not; give start scores that "
            "were chosen for the same model"
        )
    (counts,) = _counts(found, truth, [settings_by_action(own)])
    names = [found.label_names[label] for label in counted]
    rows = [
        (f"{name} {own.get(name, ActionSettings.start_score):g}", counts[label])
        for name, label in zip(names, counted, strict=True)
    ]
    print(as_table([*rows, ("all", total([one for _, one in rows]))]))


def _print_by_score(found: SavedDetections, truth: Truth, counted: Sequence[int], options: argparse.Namespace) -> None:
    counts_at = _counts(found, truth, [settings_at(score) for score in options.start_score])
    rows = [
        (f"{score:g}", total([counts[label] for label in counted]))
        for score, counts in zip(options.start_score, counts_at, strict=True)
    ]
    print(as_table(rows))


def _choose(found: SavedDetections, truth: Truth, counted: Sequence[int], options: argparse.Namespace) -> None:
    if options.data is None:
        raise EvaluationError("--choose compares right events with wrong ones; give the --data with the true actions")
    output_paths.check(options.choose, "--choose")
    candidates = [score for score in CANDIDATES if score >= options.least]
    if not candidates:
        raise EvaluationError(
            f"--least {options.least:g}: {CANDIDATES[-1]:g} is the highest score to choose; give less"
        )
    rules = [settings_at(score) for score in candidates]
    counts = _counts(found, truth, rules)
    background = _background(options, found.label_names, rules)
    chosen = best_start_scores(candidates, counts, background)
    for label in counted:
        print(f"{found.label_names[label]}: {_in_words(chosen[label], label, candidates, counts, background)}")
    scores = {found.label_names[label]: score for label in counted if (score := chosen[label])}
    start_scores.save(scores, options.choose)
    print(f"start scores: {progress.file_summary(options.choose)}")


def _truth(options: argparse.Namespace, found: SavedDetections) -> tuple[Truth, list[int]]:
    """The true actions, and the labels of the detections that count: all, or those that the data annotates."""
    if options.data is None:
        return {}, [*range(len(found.label_names))]
    data = loader.load(options.data, options.fold)
    both = shared_labels(found.label_names, data, options.detections)
    if left_out := both.sentence(data.title):
        print(left_out)
    videos = of_split(data, options.split)
    if foreign := sorted(set(found.video_names) - {video.name for video in videos}):
        raise EvaluationError(
            f"{options.detections}: of its {len(found.video_names)} videos {len(foreign)} are not in {options.data}, "
            f"{options.split}, {foreign[0]} among them; give the --data, --split and --fold that were detected in"
        )
    if missing := len(videos) - len(found.video_names):
        print(f"{options.detections} lacks {missing} of the {len(videos)} {options.split} videos, which do not count.")
    return truth_by_video(videos, data.labels, found), [found.label_names.index(label) for label in both.labels]


def _background(
    options: argparse.Namespace, labels: Sequence[str], rules: Sequence[EventSettings]
) -> Sequence[Sequence[EventCounts]] | None:
    """The events in videos without any action, which --quiet names; none of the actions that they do show."""
    if options.quiet is None:
        return None
    found = _detections(options.quiet, options.quiet_rate)
    if found.label_names != tuple(labels):
        raise EvaluationError(
            f"{options.quiet}: has other actions than {options.detections}; detect in both with the same model"
        )
    if unknown := sorted({*options.quiet_shows} - {*labels}):
        raise EvaluationError(f"--quiet-shows {unknown[0]}: the model knows {', '.join(labels)}; name some of these")
    shown = [label in options.quiet_shows for label in labels]
    return [
        [EventCounts() if of_label else one for one, of_label in zip(counts, shown, strict=True)]
        for counts in _counts(found, {}, rules)
    ]


def _counts(
    found: SavedDetections, truth: Truth, rules: Sequence[EventSettings]
) -> tuple[tuple[EventCounts, ...], ...]:
    with progress.Progress("linking", "video", len(found.video_names)) as linked:
        return count_events(found, truth, DefaultLinker(), rules, linked.update)


def _in_words(
    score: float | None,
    label: int,
    candidates: Sequence[float],
    counts: Sequence[Sequence[EventCounts]],
    background: Sequence[Sequence[EventCounts]] | None,
) -> str:
    if score is None:
        return "no start score recalls one of its actions; the default one stays"
    place = candidates.index(score)
    one, false = counts[place][label], background[place][label].events if background else 0
    noise = f"; events in quiet videos: {false}, for each score without any misses all its actions" if false else ""
    return f"{score:g}, recall {100 * one.recall:.0f} % of {one.actions}, precision {100 * one.precision:.0f} %{noise}"


def _next(options: argparse.Namespace) -> str:
    """Start scores are chosen on validation videos, best with background videos, and then go into the model."""
    chosen = options.choose or options.start_scores
    if chosen:
        return progress.next_step("korsal-convert", "export", "best.pt", "-o", "mine.onnx", "--start-scores", chosen)
    if options.data and options.split != "validation":
        words = (*shared.data_arguments(options, "validation"), "-o", "validation.npz")
        return progress.next_step("korsal-evaluate", "detect", "MODEL", *words)
    quiet: tuple[object, ...] = () if options.data else ("--quiet", options.detections)  # nothing happens in them
    file = options.detections if options.data else "validation.npz"
    option = "--rate" if options.data else "--quiet-rate"
    unusual = (option, f"{options.rate:g}") if options.rate else ()
    known = shared.data_arguments(options, "validation")
    return progress.next_step(
        "korsal-evaluate", "events", file, *known, "--choose", "start_scores.json", *quiet, *unusual
    )
