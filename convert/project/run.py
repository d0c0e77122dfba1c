"""`korsal-train run`: teaches a project's actions, step by step, and goes on where it was interrupted. Shell."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TextIO, cast

from convert.project import reporting, run_folders, steps
from convert.project.folders import Project
from convert.project.run_folders import RunFolder
from convert.project.steps import CONVERT, EVALUATE, TRAIN, RunPlan, RunStep
from edge import packages
from edge.manifest import LITE, Manifest
from edge.terminal import progress
from train.datasets import actions_file, loader, split_lists
from train.datasets.annotation_records import AnnotationError, DataSet, VideoAnnotation

NEEDED = ("torch", "onnx", "onnxruntime", "matplotlib")


@dataclass(frozen=True)
class RunOptions:
    """As the command line has them. `more`: further options of korsal-train."""

    samples: int = steps.SAMPLES
    seed: int = 0
    all_groups: bool = False
    again: bool = False
    int8: bool = True
    silent: bool = False  # show no progress
    more: tuple[str, ...] = ()

    @property
    def kept(self) -> Mapping[str, object]:
        """What decides how a run turns out, as JSON has it."""
        return {"samples": self.samples, "seed": self.seed, "all_groups": self.all_groups, "int8": self.int8}


def run(project: Project, options: RunOptions) -> int:
    """Check, then all steps that are not done; returns the exit status.

    Raises AnnotationError, AssetError, MissingPackageError.
    """
    for package in NEEDED:
        packages.require(package)
    data = loader.load(project.folder)
    if status := _check(project):
        print(f"{project.folder}: nothing was taught; correct what is wrong above, and run it again")
        return status
    start = _start(project)
    with run_folders.alone(project):
        return _teach(project, data, options, start)


def _teach(project: Project, data: DataSet, options: RunOptions, start: Manifest | None) -> int:
    """All steps that are not done; returns the exit status."""
    folder = _folder(project, options)
    plan = _plan(project, folder, data, options, start)
    if not folder.state.finished:
        return _go(project, plan, folder)
    if not plan.model.exists():  # it was moved away, or the project has another name now
        print(f"{folder.path}: nothing has changed since it was taught, but {plan.model.name} is missing: written anew")
        return _go(project, plan, folder)
    print(f"{folder.path}: nothing has changed since it was taught; --again teaches it anew")
    if not (folder.path / reporting.NAME).exists():
        reporting.report(project, folder)
    _end(project, plan)
    return 0


def _check(project: Project) -> int:
    from train import check

    print(f"— check: {_shown(TRAIN, ['check', str(project.folder)])}", flush=True)
    return check.main([str(project.folder)])


def _folder(project: Project, options: RunOptions) -> RunFolder:
    """The last run if it was of the same data, else a new one."""
    mark = run_folders.fingerprint(project, options.kept)
    known = run_folders.all_runs(project)
    if known and known[-1].state.fingerprint == mark and not (options.again and known[-1].state.finished):
        if _can_go_on(project, known[-1]):
            return known[-1]
        print(f"{known[-1].path}: was begun with data or weights in another place, so a new run begins")
    return run_folders.begin(project, mark, options.kept)


def _can_go_on(project: Project, folder: RunFolder) -> bool:
    """Whether what was begun to be learned, if anything, was of the project and the weights where they are now."""
    from train import checkpoint, resumed_settings

    last = folder.path / "train" / "last.pt"
    if steps.LEARN in folder.state.done or not last.exists():
        return True
    try:
        saved = checkpoint.load(last).settings
    except checkpoint.CheckpointError:
        return True  # the step that reads it says why
    return resumed_settings.same_places(saved, {"data": [str(project.folder)], "weights": project.start()})


def _plan(project: Project, folder: RunFolder, data: DataSet, options: RunOptions, start: Manifest | None) -> RunPlan:
    training, held = (data.train, ()) if options.all_groups else split_lists.held_out(data.train)
    return RunPlan(
        folder=project.folder.resolve(),  # so that it goes on from wherever it is called
        run=folder.path,
        name=project.name,
        weights=str(Path(weights).resolve()) if (weights := project.start()) else "",
        calibration=tuple(data.video(video.name) for video in training),
        quiet=tuple(data.video(video.name) for video in _silent(training, held)),
        validates=not options.all_groups,
        tested=any(video.tubes for video in data.test) and not options.all_groups,
        samples=options.samples,
        seed=options.seed,
        int8=options.int8,
        silent=options.silent,
        licence=start.licence if start else "",
        remembers=bool(start and start.memory and start.architecture == LITE),
        looks=start is None or start.architecture == LITE,
        more=options.more,
    )


def _silent(training: Sequence[VideoAnnotation], held: Sequence[VideoAnnotation]) -> list[VideoAnnotation]:
    """The quiet videos in which no event may begin: the held-out ones; where none is held out, those learned from."""
    of_held = [video for video in held if video.quiet]
    return of_held or [video for video in training if video.quiet]


def _start(project: Project) -> Manifest | None:
    """Of the weights to begin with; None for ImageNet's alone. Raises AnnotationError, AssetError."""
    from train import starting_weights
    from train.checkpoint import CheckpointError

    weights = project.start()
    try:
        return starting_weights.load(Path(weights)).manifest if weights else None
    except CheckpointError as error:
        raise AnnotationError(f"{project.folder / actions_file.NAME}: start: {error}") from error


def _go(project: Project, plan: RunPlan, folder: RunFolder) -> int:
    """Every step that is not done, or comes after one whose file is missing; then the report."""
    wanted = steps.steps(plan)
    folder = folder.with_only([one.name for one in takewhile(partial(_is_done, folder), wanted)])
    for number, step in enumerate(wanted, 1):
        title = f"— {number} of {len(wanted)}, {step.purpose}"
        if step.name in folder.state.done:
            print(f"{title}: done before", flush=True)
            continue
        step = _continued(step, plan)
        print(f"{title}: {_shown(step.program, step.words)}", flush=True)
        if status := _done_by(step):
            print(f"{plan.run}: stopped at step {number}, {step.name}; what was done is kept")
            print(progress.next_step(TRAIN, "run", project.folder))
            return status
        folder = folder.with_done(step.name)
    reporting.report(project, folder.with_all_done())
    _end(project, plan)
    return 0


def _is_done(folder: RunFolder, step: RunStep) -> bool:
    return step.name in folder.state.done and step.makes.exists()


def _continued(step: RunStep, plan: RunPlan) -> RunStep:
    """A training that was interrupted goes on; all are as silent as this command."""
    begun = step.name == steps.LEARN and (plan.run / "train" / "last.pt").exists()
    more = (*(["--resume"] if begun else []), *(["-q"] if plan.silent else []))
    return replace(step, words=(*step.words, *more))


def _done_by(step: RunStep) -> int:
    """Run its command, without the line that says what usually comes next: here the next step does."""
    shown = WithoutNext(sys.stdout)
    with redirect_stdout(cast(TextIO, shown)):
        return _programs()[step.program](list(step.words))


def _programs() -> Mapping[str, Callable[[list[str]], int]]:
    """The commands; each brings what takes seconds to import."""
    from convert.commands import command_line as convert_commands
    from train import train
    from train.evaluation.commands import command_line as evaluate_commands

    return {TRAIN: train.main, EVALUATE: evaluate_commands.main, CONVERT: convert_commands.main}


class WithoutNext:
    """A text stream that passes on all lines but those that `progress.next_step` made."""

    def __init__(self, shown: TextIO) -> None:
        self._shown, self._line = shown, ""

    def write(self, text: str) -> int:
        """Whole lines are passed on at once, the rest when its line ends."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if not line.startswith(progress.NEXT):
                self._shown.write(f"{line}\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)


def _shown(program: str, words: Sequence[str]) -> str:
    """The command line, ready to be repeated, without most of many videos."""
    few = [*words[:24], "…"] if len(words) > 32 else list(words)
    return shlex.join([program, *few])


def _end(project: Project, plan: RunPlan) -> None:
    """What was made."""
    print(progress.file_summary(plan.run / reporting.NAME))
    for path in model_files(plan.model):
        print(progress.file_summary(path))
    print(progress.next_step(TRAIN, "deploy", project.folder, "root@DEVICE"))


def model_files(model: Path) -> list[Path]:
    """The FP32 file, those of other precisions beside it, and the memory of a model that has one."""
    beside = {*model.parent.glob(f"{model.stem}-*.onnx"), *model.parent.glob("memory-*.onnx")}
    return [model, *sorted(beside)]
