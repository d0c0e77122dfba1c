"""The command lines of `korsal-edge events` and `index`: their options, and what they ask for."""

import argparse
import os
import sys
from pathlib import Path

from edge import files
from edge.commands.events import EventsError, Extracts, configured_store, list_events, show_event, since
from edge.commands.index import IndexOptions, find_videos, index, search_settings
from edge.commands.judge_event import keep_judgement
from edge.config.config_file import load
from edge.doctor import doctor
from edge.history import search
from edge.history.encoder import EncoderError
from edge.history.encoders import NO_ENCODER, available
from edge.history.judgements import Verdict
from edge.history.search import EventFilter
from edge.indexing.summary import write_summary
from edge.terminal import progress
from edge.terminal.arguments import fraction, whole_number


def add_events(parser: argparse.ArgumentParser) -> None:
    """Add the options of `events`."""
    parser.add_argument("id", nargs="?", metavar="ID", help="one event; the first characters of its id are enough")
    _add_store(parser)
    parser.add_argument("--action", metavar="NAME", help="only this action")
    parser.add_argument("--camera", metavar="NAME", help="only this camera, or this video's file")
    parser.add_argument("--since", type=since, metavar="2h", help="going on since then: 90s, 30m, 2h, 7d, or a time")
    parser.add_argument(
        "--min-score", type=fraction, default=0.0, metavar="SCORE", help="whose best score is at least this, 0 to 1"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--json",
        dest="form",
        action="store_const",
        const="json",
        help="a line of JSON each; with ID also box and score of every frame",
    )
    forms.add_argument("--csv", dest="form", action="store_const", const="csv", help="comma-separated values")
    parser.add_argument("--clip", type=Path, metavar="OUT.mp4", help="with ID: copy its clip there")
    parser.add_argument("--picture", type=Path, metavar="OUT.jpg", help="with ID: copy its best picture there")
    said = parser.add_mutually_exclusive_group()
    wrong = "with ID: it is wrong; keep that, and its clip among those of [teaching], for korsal-train fetch"
    said.add_argument("--wrong", dest="verdict", action="store_const", const="wrong", help=wrong)
    said.add_argument("--right", dest="verdict", action="store_const", const="right", help="likewise: it is right")
    said.add_argument("--relabel", metavar="ACTION", help="likewise: it was this action")
    parser.set_defaults(parser=parser)


def events(options: argparse.Namespace) -> int:
    """Run `korsal-edge events`."""
    extracts = Extracts(options.clip, options.picture)
    verdict: Verdict | None = options.verdict if options.relabel is None else "relabelled"
    if options.id is None and (extracts != Extracts() or verdict):
        options.parser.error("--clip, --picture, --right, --wrong and --relabel are of one event: name it by its ID")
    store = _store(options)
    if verdict:
        return keep_judgement(store, options.id, verdict, options.relabel or "")
    if options.id is not None:
        return show_event(store, options.id, options.form, extracts)
    wanted = EventFilter(options.action, options.camera, options.since, options.min_score)
    return list_events(store, wanted, options.form)


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add the options of `index`."""
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO|FOLDER", help="files, or folders of them")
    _add_store(parser)
    parser.add_argument("--camera", metavar="NAME", help="use this camera's zones, masks and thresholds")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="ONNX model or engine; default: the configured or shipped one",
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--jobs", type=whole_number(1, 1024), help="processes; default: one per core, on a GPU one")
    places.add_argument("--dask", metavar="tcp://HOST:PORT", help="use this Dask cluster instead of this machine")
    parser.add_argument(
        "--summary", type=Path, metavar="OUT.mp4", help="write one video of all actions found in these videos"
    )
    progress.add_option(parser)


def run_index(options: argparse.Namespace) -> int:
    """Run `korsal-edge index`."""
    store, videos = _store(options), find_videos(options.videos)
    config = None if options.config is None else load(options.config)
    parallel = options.dask is not None or options.jobs != 1
    settings = search_settings(config, options.camera, options.model, parallel)
    if options.summary is not None:
        _check_summary(options.summary)
    named = frozenset(path.resolve() for path in options.videos if not path.is_dir())
    status = index(store, videos, settings, IndexOptions(options.jobs, options.dask, named))
    if options.summary is not None:
        _summarise(store, videos, options.summary)
    return status


def _check_summary(target: Path) -> None:
    """Raise EventsError where no summary can be written: better now than after hours."""
    if not any(available()):
        raise EventsError(f"{target}: {NO_ENCODER}")
    try:
        files.check_writable(target)
    except OSError as error:
        raise EventsError(f"{target}: cannot be written ({error.strerror}): choose another place") from error


def _summarise(store: Path, videos: list[Path], target: Path) -> None:
    found = search.find(store, EventFilter(videos=tuple(map(str, videos))))
    try:
        content = write_summary(store, found, lambda sentence: print(sentence, file=sys.stderr))
        if content is None:
            print(f"{target}: is not written, as no action was found", file=sys.stderr)
            return
        files.write_atomically(target, content)
    except (EncoderError, ValueError) as error:
        raise EventsError(f"{target}: {error}") from error
    except OSError as error:
        raise EventsError(f"{target}: cannot be written ({error.strerror}): choose another place") from error
    print(f"summary: {progress.file_summary(target)}", file=sys.stderr)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=_default_config(),
        help="of the device whose event store is meant; default: %(default)s",
    )
    parser.add_argument("--store", type=Path, metavar="FILE.sqlite", help="the event store itself")


def _store(options: argparse.Namespace) -> Path:
    return options.store if options.store is not None else configured_store(options.config)


def _default_config() -> Path | None:
    """The installed service's or this folder's, None where there is neither."""
    usual = doctor.default_config()
    return usual if os.path.isfile(usual) else None  # pathlib's raises where this user may not look
