"""The whole way with drawn figures: check, teach, score, and watch a scene that was never learned from in the daemon.

    python -m examples.drawn.example FOLDER

It needs korsal-edge[cpu,train] and neither camera nor broker: the daemon plays the test videos and keeps its events.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Path(__file__).parent / "project"
SAMPLES = 640  # frames to learn from
TESTED = ("garage_1", "garage_2")

CONFIG = """\
# A camera for each test video: files without loop are played once, then the daemon ends.
[device]
name = "example"

[model]
path = "{model}"
runtime = "onnxruntime"
{threads}
[mqtt]
host = "127.0.0.1"              # without a broker messages wait in the outbox

[outbox]
directory = "state"

[history]
enabled = true
clips = false
{cameras}"""
CAMERA = '\n[cameras.{name}]\nsource = "{video}"\n'


def begin(project: Path, start: str) -> None:
    """Copy what it lacks of the project; `start`: weights to begin with."""
    shutil.copytree(PROJECT, project, dirs_exist_ok=True)
    actions = project / "actions.toml"
    actions.write_text(actions.read_text().replace('start = "shipped"', f'start = "{start}"'))


def teach(project: Path, samples: int, more: Sequence[str]) -> None:
    """Check the project and teach it. Raises CalledProcessError where a step fails."""
    _run("convert.project", "check", str(project), "-q")
    _run("convert.project", "run", str(project), "--samples", str(samples), *more)


def watch(folder: Path, project: Path, threads: int) -> None:
    """Run the daemon with the newest model on the test videos, and print its events."""
    model = max((project / "runs").glob("*/drawn-figures.onnx"))
    videos = project / "videos" / "garage"
    cameras = "".join(CAMERA.format(name=name, video=videos / f"{name}.mp4") for name in TESTED)
    limit = f"threads = {threads}\n" if threads else ""
    config = folder / "config.toml"
    shutil.rmtree(folder / "state", ignore_errors=True)
    config.write_text(CONFIG.format(model=model, threads=limit, cameras=cameras))
    _run("edge", "run", "--config", str(config))
    _run("edge", "events", "--config", str(config))


def _run(module: str, *words: str) -> None:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    print(f"$ python -m {' '.join((module, *words))}", flush=True)
    subprocess.run([sys.executable, "-m", module, *words], check=True, env={**os.environ, "PYTHONPATH": paths})


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status, which is that of the step that failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:own])
    folder: Path = options.folder.resolve()
    project = folder / "my-actions"
    begin(project, options.start)
    try:
        teach(project, options.samples, given[own + 1 :] or ["--no-int8"])
        watch(folder, project, options.threads)
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    print(f"{max((project / 'runs').glob('*/report.html'))}: open it in a browser")
    return 0


def _parser() -> argparse.ArgumentParser:
    more = "After -- options of korsal-train run; without any, INT8 is left out, which takes longer than all the rest."
    parser = argparse.ArgumentParser(description="Teach a detector what drawn figures do, and watch it.", epilog=more)
    parser.add_argument("folder", type=Path, help="to work in; a second run goes on where the first was stopped")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="frames to learn from; default: %(default)s")
    parser.add_argument("--start", default="shipped", help="weights to begin with; default: %(default)s")
    parser.add_argument("--threads", type=int, default=0, help="of the daemon's network; default: all cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
