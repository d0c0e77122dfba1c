"""`korsal-evaluate events`: what the daemon would tell of saved detections, and good start scores. Shell."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from edge.engines import engine_files
from edge.events import ActionSettings
from edge.linker import LinkerSettings
from train import datasets, detection_file, telling
from train.detection_file import SavedDetections
from train.evaluate import EvaluationError, Split, check_labels, of_split
from train.step_options import data_options, rate, share
from train.telling import Tally, Truth

CANDIDATES = tuple(hundredth / 100 for hundredth in range(6, 92, 2))  # start scores to choose from


def add_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Its own ones."""
    parser.add_argument("detections", type=Path, help="an .npz file of `korsal-evaluate detect`")
    data_options(parser, required=False)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--rate", type=rate, default=25.0, help="frames per second of all videos; default: 25")
    parser.add_argument(
        "--start-score",
        type=share,
        nargs="+",
        default=[ActionSettings.start_score],
        help="one line for each; keep_score keeps its proportion to it",
    )
    parser.add_argument(
        "--choose",
        type=Path,
        metavar="OUT.json",
        help="write the start scores of each action that suit it best, for korsal-convert export --start-scores",
    )
    parser.add_argument(
        "--quiet", type=Path, metavar="NPZ", help="detections of videos without any action: chosen scores tell nothing"
    )
    parser.add_argument("--quiet-rate", type=rate, default=25.0, help="frames per second of those; default: 25")
    return parser


def events(options: argparse.Namespace) -> None:
    """Tell which events the daemon would publish of saved detections, and which of them are right.

    An action is told by an event of its class that lies on it (IoU 0.3) in at least one frame. Alarms are events that
    begin where there is no action at all, by the hour without one.
    """
    found = detection_file.load(options.detections, dense=True)
    truth = _truth(options, found)
    if options.choose is None:
        rules = [telling.at_score(score) for score in options.start_score]
        told = _told(found, truth, options.rate, rules)
        print(telling.as_table(rules, [telling.of_all(tallies) for tallies in told]))
        return
    if options.data is None:
        raise EvaluationError("--choose weighs right events against wrong ones; give the --data that tells them apart")
    rules = [telling.at_score(score) for score in CANDIDATES]
    told = _told(found, truth, options.rate, rules)
    quiet = _quiet(options, found.label_names, rules)
    chosen = telling.best(rules, told, quiet)
    for place, (label, score) in enumerate(zip(found.label_names, chosen, strict=True)):
        print(f"{label}: {_in_words(score, told[CANDIDATES.index(score)][place] if score else None)}")
    _write({label: score for label, score in zip(found.label_names, chosen, strict=True) if score}, options.choose)


def _truth(options: argparse.Namespace, found: SavedDetections) -> Truth:
    if options.data is None:
        return {}
    data = datasets.load(options.data, options.fold)
    check_labels(found.label_names, data.labels, options.detections)
    return telling.truth_of(of_split(data, options.split), data.labels, found)


def _quiet(
    options: argparse.Namespace, labels: Sequence[str], rules: Sequence[ActionSettings]
) -> Sequence[Sequence[Tally]] | None:
    if options.quiet is None:
        return None
    silent = detection_file.load(options.quiet, dense=True)
    check_labels(silent.label_names, labels, options.quiet)
    return _told(silent, {}, options.quiet_rate, rules)


def _told(
    found: SavedDetections, truth: Truth, frames_per_second: float, rules: Sequence[ActionSettings]
) -> tuple[tuple[Tally, ...], ...]:
    with tqdm(total=len(found.video_names), desc="linking", unit="video", disable=None) as progress:
        return telling.tell(found, truth, frames_per_second, LinkerSettings(), rules, progress.update)


def _in_words(score: float | None, tally: Tally | None) -> str:
    if score is None or tally is None:
        return "no start score tells one of its actions and stays quiet; the usual one stays"
    return f"{score:g}, {100 * tally.recall:.0f} % of {tally.actions} told, {100 * tally.precision:.0f} % right"


def _write(scores: Mapping[str, float], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine_files.replace_file(path, (json.dumps({"start_scores": scores}, indent=2) + "\n").encode())
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror}); choose another --choose") from error
