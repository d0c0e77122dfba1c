"""`korsal-train new`, `propose`, `run`, `report`, `deploy` and `fetch`: reads the command line and runs the command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from convert.project import deploy, fetch, folders, propose, reporting, run, run_folders, steps
from convert.project.deploy import DeployError
from convert.project.fetch import FetchError
from convert.project.folders import Project
from convert.project.propose import LEAST_SCORE, ProposeOptions
from convert.project.run import RunOptions
from edge import model_files
from edge.cameras.video_file import CaptureError
from edge.config.config_file import SHIPPED_MODEL
from edge.inference import EngineError
from edge.packages import MissingPackageError
from edge.shipped_files import AssetError, asset_path
from edge.terminal import progress
from edge.terminal.arguments import Parser, fraction, whole_number
from train.datasets import actions_file
from train.datasets.annotation_records import AnnotationError
from train.evaluation.columns import ColumnError
from train.evaluation.scoring import ScoreError
from train.evaluation.splits import EvaluationError
from train.open_model import ModelError
from train.train_settings import LARGEST_SEED

ACTOR_MODEL = "models/korsal-actor.onnx"  # finds people who do something
ERRORS = (
    *(AnnotationError, AssetError, CaptureError, ColumnError, DeployError, EngineError, EvaluationError),
    *(FetchError, MissingPackageError, ModelError, ScoreError),
)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    progress.enable(not options.no_progress)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ERRORS as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-train: stopped; what was written is kept, and the same command goes on", file=sys.stderr)
        return 130


def _new(options: argparse.Namespace) -> int:
    actions = [name.strip() for text in options.actions for name in text.split(",") if name.strip()]
    for line in folders.create(options.project, actions):
        print(line)
    if not actions:
        print(f"Name the actions in {options.project / actions_file.NAME}, unless it has them.")
    print(f"Put videos into {options.project / 'videos'}, at least two scenes, or record them: korsal-edge record")
    print(progress.next_step("korsal-train", "propose", options.project))
    return 0


def _propose(options: argparse.Namespace) -> int:
    project = folders.read(options.project)
    detector = options.detector or asset_path(ACTOR_MODEL)
    guesser = _guesser(project, detector)
    people = (options.person, options.minimum_score, options.again, options.threads)
    print(f"People are found by {detector}" + f", and what they do is guessed by {guesser}" * bool(guesser))
    for line in propose.propose(project, ProposeOptions(detector, guesser, *people)):
        print(line, flush=True)
    print(f"In CVAT: a task for each video with the labels of {project.proposals / propose.LABELS}, upload its file")
    print(f"there, correct it, give each person its action, and export it into {project.folder / 'annotations'}.")
    print(progress.next_step("korsal-train", "check", project.folder))
    return 0


def _guesser(project: Project, detector: Path) -> Path | None:
    """The project's newest model, before its first run the shipped one; None where these know none of its actions."""
    guesser = deploy.known_model(project) or asset_path(SHIPPED_MODEL)
    named = model_files.read(guesser)
    known = named is not None and not set(project.settings.actions).isdisjoint(named.manifest.labels)
    return guesser if known and guesser != detector else None


def _run(options: argparse.Namespace) -> int:
    more = ("--device", options.device, "--workers", str(options.workers), "--precision", options.precision)
    bounds = (options.samples, options.seed, options.all_groups, options.again, options.int8)
    wanted = RunOptions(*bounds, silent=options.no_progress, more=more)
    return run.run(folders.read(options.project), wanted)


def _report(options: argparse.Namespace) -> int:
    project = folders.read(options.project)
    folder = run_folders.one_of(project, options.run)
    print(progress.file_summary(reporting.report(project, folder)))
    if folder.state.finished:
        print(progress.next_step("korsal-train", "deploy", project.folder, "root@DEVICE"))
    else:
        print(progress.next_step("korsal-train", "run", project.folder))
    return 0


def _deploy(options: argparse.Namespace) -> int:
    project = folders.read(options.project)
    print(deploy.deploy(project, options.host, options.folder), flush=True)
    if options.activate and options.host:
        print(deploy.activate(options.host, options.folder / deploy.finished_model(project).name))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    project = folders.read(options.project)
    if options.mqtt:
        print(_over_mqtt(project, options))
    else:
        print(fetch.fetch(project, options.host, options.folder))
    print(progress.next_step("korsal-train", "propose", project.folder))
    return 0


def _over_mqtt(project: Project, options: argparse.Namespace) -> str:
    from convert.project import fetch_mqtt

    if options.host:
        raise FetchError(f"{options.host}: is for ssh, and --mqtt asks a broker; give one of the two")
    return fetch_mqtt.fetch(project, fetch_mqtt.access(options))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="korsal-train", description="Teach a detector your own actions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_new(_added(commands, "new", _new, "begin a project folder; what is there stays"))
    _add_propose(_added(commands, "propose", _propose, "find people in the videos, for CVAT: to correct, not to draw"))
    _add_run(_added(commands, "run", _run, "teach: train, choose, score, export, INT8; goes on where it was stopped"))
    _add_report(_added(commands, "report", _report, "write report.html of a run anew: figures, pictures, what to film"))
    _add_deploy(_added(commands, "deploy", _deploy, "bring the model to a device, or print what to put there"))
    _add_fetch(_added(commands, "fetch", _fetch, "bring clips of which a device was in doubt, to annotate them"))
    return parser


def _folder(text: str) -> Path:
    """As given; from the root on where its name begins like an option, for it becomes a word of other commands.

    An empty one, as of a shell's variable that is not set, is no folder: it would be the one where the shell is.
    """
    if not text:
        raise argparse.ArgumentTypeError("give a folder; . is the one here")
    path = Path(text)
    return path.absolute() if str(path).startswith("-") else path


def _added(
    commands: "argparse._SubParsersAction[Parser]", name: str, command: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(command=command)
    parser.add_argument("project", type=_folder, help="the project folder")
    progress.add_option(parser)
    return parser


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--actions", nargs="+", default=[], metavar="NAME", help="to learn, with spaces or commas between"
    )


def _add_propose(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    help_of = (
        "an ONNX model of ours, or one that finds people with YOLO's input and output: (1, 3, h, w) RGB, 0 to 1, in, "
        "(1, 4 + classes, N), (1, N, 5 + classes) or (1, N, 6) out; default: the shipped one, which finds people "
        "who do something, whatever it is"
    )
    add("--detector", type=Path, metavar="FILE.onnx", help=help_of)
    add("--person", type=whole_number(0), default=0, help="number of the class of people of such a model; default: 0")
    add("--minimum-score", type=fraction, default=LEAST_SCORE, help="of its people; default: %(default)s")
    add("--threads", type=whole_number(0, 256), default=0, help="of one operator on the CPU; default: all cores")
    add("--again", action="store_true", help="write proposals anew; the old ones are kept beside them")


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--samples", type=whole_number(1), default=steps.SAMPLES, help="frames to learn from; default: %(default)s")
    add("--seed", type=whole_number(0, LARGEST_SEED), default=0, help="another one gives another run; default: 0")
    everything = "learn from all videos and hold out none: nothing is scored, and start scores stay the default"
    add("--all-groups", action="store_true", help=everything)
    add("--again", action="store_true", help="teach anew although nothing has changed")
    add("--no-int8", dest="int8", action="store_false", help="FP32 alone: INT8 takes long, and only pays on a device")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="default: a GPU where there is one")
    add("--workers", type=whole_number(0), default=1, help="processes that prepare samples; default: 1")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="of the training")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="NUMBER", help="as 002; default: the last one that has learned something")


def _add_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", nargs="?", help="as ssh takes it, like root@jetson; without: print what to do")
    parser.add_argument(
        "--folder", type=PurePosixPath, default=deploy.FOLDER, help="on the device; default: %(default)s"
    )
    named = f"also name it in {deploy.CONFIG} there, and restart the service if that is valid"
    parser.add_argument("--activate", action="store_true", help=named)


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "host", nargs="?", help="as ssh takes it, like root@jetson; without: --folder is of this machine"
    )
    help_of = "where the device keeps its state, with NAME.teaching in it; default: %(default)s"
    add = parser.add_argument
    add("--folder", type=PurePosixPath, default=fetch.STATE, help=help_of)
    over = "ask the device over this broker instead, which needs [teaching] allow_fetch = true there"
    add("--mqtt", metavar="HOST[:PORT]", help=over)
    add("--device", default="korsal-edge", help="with --mqtt: its [device] name; default: %(default)s")
    add("--base", default="korsal", help="with --mqtt: its [mqtt] base; default: %(default)s")
    add("--username", help="with --mqtt; the password: --password-file, else the variable KORSAL_MQTT_PASSWORD")
    add("--password-file", type=Path, help="with --mqtt: its first line is the password")
    add("--ca", type=Path, help="with --mqtt: PEM, the broker's authority; TLS is used then, on port 8883 by default")
