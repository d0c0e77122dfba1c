"""Shell. `korsal-evaluate events`: what the daemon would publish of saved detections, and good start scores."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from edge.default_linker import DefaultLinker
from edge.events import ActionSettings, EventSettings
from edge.terminal import progress
from train import output_paths
from train.datasets import load as datasets
from train.evaluation import detection_file, event_metrics, start_scores
from train.evaluation import options as shared
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_metrics import Tally, Truth
from train.evaluation.options import DEFAULT_FRAME_RATE, frame_rate
from train.evaluation.splits import EvaluationError, check_labels, of_split

CANDIDATES = tuple(hundredth / 100 for hundredth in range(6, 92, 2))  # start scores to choose from


def add_options(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("detections", type=Path, help="an .npz file of `korsal-evaluate detect`")
    shared.add_data(parser, required=False)
    shared.add_split(parser)
    parser.add_argument(
        "--rate", type=frame_rate, default=DEFAULT_FRAME_RATE, help="frames per second of all videos; default: 25"
    )
    rules = parser.add_mutually_exclusive_group()
    rules.add_argument(
        "--start-score",
        type=shared.share,
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
        help="for --choose: detections of videos without any action, of which nothing is told then",
    )
    parser.add_argument(
        "--quiet-rate", type=frame_rate, default=DEFAULT_FRAME_RATE, help="frames per second of those; default: 25"
    )


def run(options: argparse.Namespace) -> None:
    """Tell which events the daemon would publish of saved detections, and which of them are right.

    An action is told by an event of its class that lies on it (IoU 0.3) in at least one frame. Alarms are events that
    begin where there is no action at all, by the hour without one.
    """
    if options.quiet and not options.choose:
        raise EvaluationError(f"{options.quiet}: has a say where start scores are chosen; give --choose OUT.json too")
    found = detection_file.load(options.detections, dense=True)
    truth = _truth(options, found)
    if options.choose:
        _choose(found, truth, options)
    elif options.start_scores:
        _print_by_action(found, truth, options)
    else:
        told_at = _told(found, truth, options.rate, [event_metrics.at_score(score) for score in options.start_score])
        rows = [
            (f"{score:g}", event_metrics.of_all(told)) for score, told in zip(options.start_score, told_at, strict=True)
        ]
        print(event_metrics.as_table(rows))
    print(_next(options))


def _print_by_action(found: SavedDetections, truth: Truth, options: argparse.Namespace) -> None:
    own = start_scores.load(options.start_scores)
    if unknown := sorted(own.keys() - set(found.label_names)):
        raise EvaluationError(
            f"{options.start_scores}: has {unknown[0]}, which {options.detections} has not; give start scores that "
            "were chosen for the same model"
        )
    (told,) = _told(found, truth, options.rate, [event_metrics.at_scores(own)])
    rows = [
        (f"{name} {own.get(name, ActionSettings.start_score):g}", one)
        for name, one in zip(found.label_names, told, strict=True)
    ]
    print(event_metrics.as_table([*rows, ("all", event_metrics.of_all(told))]))


def _next(options: argparse.Namespace) -> str:
    """Start scores are chosen on validation videos, best with quiet ones, and then go into the model."""
    chosen = options.choose or options.start_scores
    if chosen:
        return progress.next_step("korsal-convert", "export", "best.pt", "-o", "mine.onnx", "--start-scores", chosen)
    if options.data and options.split != "validation":
        words = (*shared.data_arguments(options, "validation"), "-o", "validation.npz")
        return progress.next_step("korsal-evaluate", "detect", "MODEL", *words)
    quiet: tuple[object, ...] = () if options.data else ("--quiet", options.detections)  # nothing happens in them
    file = options.detections if options.data else "validation.npz"
    option = "--rate" if options.data else "--quiet-rate"
    unusual = (option, f"{options.rate:g}") if options.rate != DEFAULT_FRAME_RATE else ()
    known = shared.data_arguments(options, "validation")
    return progress.next_step(
        "korsal-evaluate", "events", file, *known, "--choose", "start_scores.json", *quiet, *unusual
    )


def _choose(found: SavedDetections, truth: Truth, options: argparse.Namespace) -> None:
    if options.data is None:
        raise EvaluationError("--choose weighs right events against wrong ones; give the --data that tells them apart")
    output_paths.check(options.choose, "--choose")
    rules = [event_metrics.at_score(score) for score in CANDIDATES]
    told = _told(found, truth, options.rate, rules)
    chosen = event_metrics.best(CANDIDATES, told, _quiet(options, found.label_names, rules))
    for place, (label, score) in enumerate(zip(found.label_names, chosen, strict=True)):
        print(f"{label}: {_in_words(score, told[CANDIDATES.index(score)][place] if score else None)}")
    scores = {label: score for label, score in zip(found.label_names, chosen, strict=True) if score}
    start_scores.save(scores, options.choose)
    print(f"start scores: {progress.made(options.choose)}")


def _truth(options: argparse.Namespace, found: SavedDetections) -> Truth:
    if options.data is None:
        return {}
    data = datasets.load(options.data, options.fold)
    check_labels(found.label_names, data.labels, options.detections, data.title)
    videos = of_split(data, options.split)
    if foreign := sorted(set(found.video_names) - {video.name for video in videos}):
        raise EvaluationError(
            f"{options.detections}: of its {len(found.video_names)} videos {len(foreign)} are not in {options.data}, "
            f"{options.split}, {foreign[0]} among them; give the --data, --split and --fold that were detected in"
        )
    return event_metrics.truth_of(videos, data.labels, found)


def _quiet(
    options: argparse.Namespace, labels: Sequence[str], rules: Sequence[EventSettings]
) -> Sequence[Sequence[Tally]] | None:
    if options.quiet is None:
        return None
    silent = detection_file.load(options.quiet, dense=True)
    if silent.label_names != tuple(labels):
        raise EvaluationError(
            f"{options.quiet}: has other actions than {options.detections}; detect in both with the same model"
        )
    return _told(silent, {}, options.quiet_rate, rules)


def _told(
    found: SavedDetections, truth: Truth, frames_per_second: float, rules: Sequence[EventSettings]
) -> tuple[tuple[Tally, ...], ...]:
    with progress.Progress("linking", "video", len(found.video_names)) as linked:
        return event_metrics.tell(found, truth, frames_per_second, DefaultLinker(), rules, linked.update)


def _in_words(score: float | None, tally: Tally | None) -> str:
    if score is None or tally is None:
        return "no start score tells one of its actions and stays quiet; the usual one stays"
    return f"{score:g}, {100 * tally.recall:.0f} % of {tally.actions} told, {100 * tally.precision:.0f} % right"
