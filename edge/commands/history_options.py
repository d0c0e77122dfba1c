"""The command line of `korsal-edge events`: its options, and what they ask for."""

import argparse
from pathlib import Path

from edge.commands.events import Extracts, configured_store, list_events, show_event, since
from edge.doctor import doctor
from edge.history.search import EventFilter
from edge.terminal.arguments import fraction


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add the options of `events`."""
    parser.add_argument("id", nargs="?", metavar="ID", help="one event; the first characters of its id are enough")
    _add_config(parser)
    parser.add_argument("--action", metavar="NAME", help="only this action")
    parser.add_argument("--camera", metavar="NAME", help="only this camera, or video by its file's name")
    parser.add_argument("--since", type=since, metavar="2h", help="going on since then: 90s, 30m, 2h, 7d, or a time")
    parser.add_argument(
        "--min-score", type=fraction, default=0.0, metavar="SCORE", help="whose best score is at least this, 0 to 1"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", dest="form", action="store_const", const="json", help="a line of JSON each; with ID "
                       "also box and score of every frame")  # fmt: skip
    forms.add_argument("--csv", dest="form", action="store_const", const="csv", help="comma-separated values")
    parser.add_argument("--clip", type=Path, metavar="OUT.mp4", help="with ID: copy its clip there")
    parser.add_argument("--picture", type=Path, metavar="OUT.jpg", help="with ID: copy its best picture there")
    parser.set_defaults(parser=parser)


def events(options: argparse.Namespace) -> int:
    """Run `korsal-edge events`."""
    extracts = Extracts(options.clip, options.picture)
    if options.id is None and extracts != Extracts():
        options.parser.error("--clip and --picture are of one event: name it by its ID")
    store = configured_store(options.config)
    if options.id is not None:
        return show_event(store, options.id, options.form, extracts)
    wanted = EventFilter(options.action, options.camera, options.since, options.min_score)
    return list_events(store, wanted, options.form)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=doctor.default_config(), help="whose device's events; default: %(default)s"
    )
