"""The command line of `korsal-edge`: parses the arguments and runs the command."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge import __version__
from edge.cameras.video_file import CaptureError
from edge.commands import bench, check, demo, history_options, models, record_options, replay, use_model, web_password
from edge.commands.demo_broker import DemoError
from edge.commands.events import EventsError
from edge.commands.index import IndexingError
from edge.commands.record import RecordError
from edge.commands.replay import ReplayError
from edge.commands.web_password import WebPasswordError
from edge.config import config_file as config
from edge.config.config_file import ConfigError
from edge.doctor import doctor, report
from edge.doctor.report import ReportError
from edge.history.store_tables import StoreError
from edge.indexing.dask_workers import ClusterError
from edge.indexing.local_workers import WorkerProcessError
from edge.inference import EngineError
from edge.packages import MissingPackageError
from edge.service import daemon
from edge.service.log_format import FORMATS
from edge.shipped_files import AssetError
from edge.signals import Signals
from edge.sources import SourceError
from edge.terminal import output as terminal
from edge.terminal import progress
from edge.terminal.arguments import Command, Parser, whole_number
from edge.terminal.tiling_options import add_tiling, given, tiling_of
from edge.video.motion_inset import INSET_POSITIONS
from edge.video.video_writer import VideoError

ERRORS = (
    AssetError,
    CaptureError,
    ClusterError,
    ConfigError,
    DemoError,
    EngineError,
    EventsError,
    IndexingError,
    MissingPackageError,
    RecordError,
    ReplayError,
    ReportError,
    SourceError,
    StoreError,
    VideoError,
    WebPasswordError,
    WorkerProcessError,
)
INDEX = "find the actions in video files, as fast as it goes, and keep them in the event store"
EVENTS = "list the events that this device has kept, with pictures and clips"
REPORT_HERE = Path()  # --report without a name


@terminal.program
def main(arguments: Sequence[str], signals: Signals | None = None) -> int:
    """Run one command and return its exit status; `signals` are the daemon's.

    0: done; 1: failed, with the reason on stderr; 2: wrong usage; 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    options.signals = signals
    command: Command = options.command
    progress.enable(not getattr(options, "no_progress", True))  # some commands have none
    if command is not _run:  # the daemon sets up its own log
        logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        return command(options)
    except ERRORS as error:
        for line in str(error).splitlines():
            print(f"korsal-edge: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return replay.INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    return daemon.run(
        config.load(options.config), options.config, signals=options.signals, log_format=options.log_format
    )


def _check(options: argparse.Namespace) -> int:
    return check.check(options.config)


def _models(options: argparse.Namespace) -> int:
    if options.use is None:
        return models.models(options.config)
    for line in use_model.use(options.config or doctor.default_config(), options.use):
        print(line)
    return 0


def _web_password(options: argparse.Namespace) -> int:
    return web_password.web_password(options.file)


def _doctor(options: argparse.Namespace) -> int:
    if options.report is not None:
        return report.report(options.config, None if options.report is REPORT_HERE else options.report)
    return doctor.doctor(options.config)


def _replay(options: argparse.Namespace) -> int:
    _treat_sigterm_as_ctrl_c()
    with replay.open_session(options.source, options.model, options.config, options.camera) as opened:
        session = opened.looking_at(tiling_of(options, opened.settings.tiling))
        status = replay.replay(session, replay.ReplayOutputs(options.events, options.video, options.inset))
    if not status:
        print(_after_replay(options), file=sys.stderr)
    return status


def _after_replay(options: argparse.Namespace) -> str:
    """The command that comes next: look at the result first, then configure the daemon."""
    if options.video is None:
        files = (("--model", options.model), ("--config", options.config), ("--camera", options.camera))
        again = [word for option, value in files if value is not None for word in (option, value)]
        again += given(options)
        return progress.next_step("korsal-edge", "replay", options.source, *again, "--video", "annotated.webm")
    if options.config is not None:
        return progress.next_step("korsal-edge", "check", "--config", options.config)
    return "Next: cameras, broker and thresholds in config.toml, then korsal-edge check"


def _bench(options: argparse.Namespace) -> int:
    with replay.open_session(options.source, options.model, options.config, options.camera, options.threads) as opened:
        session = opened.looking_at(tiling_of(options, opened.settings.tiling))
        return bench.bench(session, options.frames, options.json)


def _demo(options: argparse.Namespace) -> int:
    _treat_sigterm_as_ctrl_c()
    return demo.demo(options.source, options.model, options.video, options.inset, tiling_of(options))


def _index(options: argparse.Namespace) -> int:
    _treat_sigterm_as_ctrl_c()
    return history_options.run_index(options)


def _record(options: argparse.Namespace) -> int:
    _treat_sigterm_as_ctrl_c()
    return record_options.run_record(options)


def _treat_sigterm_as_ctrl_c() -> None:
    """Let SIGTERM end the command as Ctrl-C does, with the results so far written."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "korsal-edge", description="Detects people's actions in live video as they happen and publishes them over MQTT."
    )
    parser.add_argument("--version", action="version", version=f"korsal-edge {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run_and_check(commands)
    _add_models(commands)
    _add_doctor(commands)
    _add_replay(commands)
    _add_bench(commands)
    _add_demo(commands)
    history_options.add_events(_add(commands, "events", history_options.events, EVENTS))
    _add_web_password(commands)
    record_options.add_record(_add(commands, "record", _record, record_options.RECORD))
    history_options.add_index(_add(commands, "index", _index, INDEX))
    return parser


def _add_run_and_check(commands: Any) -> None:
    run = _add(commands, "run", _run, "run the daemon until it is stopped")
    run.add_argument(
        "--log-format",
        choices=FORMATS,
        default="auto",
        help="plain: lines with time stamps; journal: without; auto: without if systemd's journal takes the log",
    )
    check_only = _add(commands, "check", _check, "check a configuration and report every problem at once")
    for command in (run, check_only):
        command.add_argument("--config", type=Path, default=Path("config.toml"), help="default: ./config.toml")


def _add_models(commands: Any) -> None:
    command = _add(commands, "models", _models, "list the model's files, their precision, and which runs where")
    installed = doctor.INSTALLED if doctor.INSTALLED.is_file() else None
    usual = installed or "of the shipped one"
    command.add_argument(
        "--config", type=Path, default=installed, help=f"list the files of its model; default: {usual}"
    )
    command.add_argument("--use", type=Path, metavar="FILE", help="write this model's path into that configuration")


def _add_web_password(commands: Any) -> None:
    command = _add(commands, "web-password", _web_password, "ask for the live page's password and write its hash")
    command.add_argument("file", type=Path, metavar="FILE", help="to be named as password_file in [web]")


def _add_doctor(commands: Any) -> None:
    command = _add(commands, "doctor", _doctor, "check everything that can be wrong with an installation")
    command.add_argument("--config", type=Path, default=doctor.default_config(), help="default: %(default)s")
    command.add_argument(
        "--report",
        type=Path,
        nargs="?",
        const=REPORT_HERE,
        metavar="FILE",
        help="also write versions, checks, build logs and ten seconds of telemetry to a file that may be sent to "
        "somebody who helps, without secrets and pictures; default name: korsal-report-DATE-TIME.txt",
    )


def _add_replay(commands: Any) -> None:
    command = _add(commands, "replay", _replay, "detect the actions in a video file, the same ones at every run")
    _add_replay_options(command)
    command.add_argument("--events", type=Path, metavar="FILE", help="write events as JSON lines, do not print them")
    command.add_argument("--video", type=Path, metavar="FILE", help="write an annotated video: .webm, .mp4 or .avi")
    _add_inset(command)


def _add_bench(commands: Any) -> None:
    command = _add(commands, "bench", _bench, "measure the time of each stage per frame of a video file")
    _add_replay_options(command)
    frames = whole_number(1, 1_000_000)
    command.add_argument("--frames", type=frames, default=500, help="frames to measure after warming up; default: 500")
    command.add_argument(
        "--threads",
        type=whole_number(0, 256),
        help="CPU threads of the network; 0: ONNX Runtime decides; default: as configured",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_demo(commands: Any) -> None:
    command = _add(commands, "demo", _demo, "run the daemon with a broker and a subscriber of its own")
    command.add_argument("source", nargs="?", help="a video file, /dev/video0, rtsp://...; default: the shipped clip")
    command.add_argument(
        "--model", type=Path, metavar="FILE", help="ONNX model or TensorRT engine; default: the shipped one"
    )
    command.add_argument("--video", type=Path, metavar="FILE", help="default: out/demo.webm, which browsers play")
    _add_inset(command)
    add_tiling(command)
    progress.add_option(command)


def _add(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """Add a command with its description."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(command=command)
    return parser


def _add_replay_options(parser: argparse.ArgumentParser) -> None:
    """The options that replay and bench share."""
    parser.add_argument("source", help="a video file")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="ONNX model or TensorRT engine; default: the configured or shipped one",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="use its thresholds, zones and model")
    add_tiling(parser)
    parser.add_argument("--camera", metavar="NAME", help="use this camera's settings, if the configuration has several")
    progress.add_option(parser)


def _add_inset(parser: argparse.ArgumentParser) -> None:
    """The options for where the annotated video shows the motion map."""
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--inset",
        choices=INSET_POSITIONS,
        default="beside",
        help="where the video shows the motion map; default: %(default)s",
    )
    places.add_argument("--no-inset", dest="inset", action="store_const", const="none", help="leave it out")
