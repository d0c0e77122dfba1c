"""The folders of a project's runs: which one is gone on with, and what is done in it. Shell."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from convert.project import folders
from convert.project.folders import Project
from edge import files
from train.datasets import actions_file, own_data, project_data, split_lists
from train.datasets.annotation_records import AnnotationError

STATE, LOCK = "run.json", ".lock"
DIGITS = 16  # of a fingerprint


@dataclass(frozen=True)
class RunState:
    """What a run was begun with, and the names of its steps that are done."""

    fingerprint: str
    done: tuple[str, ...] = ()
    finished: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFolder:
    """One run: `runs/001`."""

    path: Path
    state: RunState

    def with_done(self, step: str) -> "RunFolder":
        """The run after one more step; kept on the disk. Raises AnnotationError."""
        return self._kept(RunState(self.state.fingerprint, (*self.state.done, step), False, self.state.options))

    def with_only(self, steps: Sequence[str]) -> "RunFolder":
        """The run as if only these steps were done; kept on the disk where that differs. Raises AnnotationError."""
        if self.state.done == tuple(steps):
            return self
        return self._kept(RunState(self.state.fingerprint, tuple(steps), False, self.state.options))

    def with_all_done(self) -> "RunFolder":
        """The run at its end; kept on the disk. Raises AnnotationError."""
        return self._kept(RunState(self.state.fingerprint, self.state.done, True, self.state.options))

    def _kept(self, state: RunState) -> "RunFolder":
        save(self.path, state)
        return RunFolder(self.path, state)


def fingerprint(project: Project, options: Mapping[str, object]) -> str:
    """A hash of what a run depends on: settings, annotations, lists, weights, and the videos by name, size and time.

    Of weights only one's own: the shipped ones come with a version of this package.
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    lists = [project.folder / name for name in (own_data.QUIET_FILE, split_lists.VALIDATION_FILE)]
    texts = [project.folder / actions_file.NAME, *own_data.cvat_files(project.folder), *lists]
    for path in texts:
        if path.exists():
            digest.update(os.fsencode(f"{path.relative_to(project.folder)} {files.sha256_of(path)}\n"))
    if project.own_start is not None and project.own_start.is_file():
        digest.update(files.sha256_of(project.own_start).encode())
    videos = project.folder / project_data.VIDEOS
    for path in own_data.files_below(videos):
        if path.is_file():
            known = path.stat()
            digest.update(os.fsencode(f"{path.relative_to(videos)} {known.st_size} {known.st_mtime_ns}\n"))
    return digest.hexdigest()[:DIGITS]


def all_runs(project: Project) -> list[RunFolder]:
    """By their numbers; folders without a state that can be read are left out."""
    found = []
    for path in sorted(project.runs.glob("[0-9]*")):
        state = _state(path / STATE)
        if state is not None:
            found.append(RunFolder(path, state))
    return found


def one_of(project: Project, number: str | None) -> RunFolder:
    """The run of that number; None: the last one in which something was learned. Raises AnnotationError."""
    known = [one for one in all_runs(project) if one.state.done]
    if not known:
        raise AnnotationError(
            f"{project.runs}: holds no run that has learned something; korsal-train run {project.folder} makes one"
        )
    wanted = [one for one in known if number is None or one.path.name == number.zfill(3)]
    if not wanted:
        names = ", ".join(one.path.name for one in known)
        raise AnnotationError(f"{project.runs}: no run {number} has learned something; those that have: {names}")
    return wanted[-1]


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """Nobody else teaches in this project meanwhile, by a lock that ends with its process. Raises AnnotationError."""
    try:
        project.runs.mkdir(parents=True, exist_ok=True)
        file = (project.runs / LOCK).open("a")
    except OSError as error:
        raise AnnotationError(f"{project.runs}: cannot be written ({error.strerror}); {folders.cure(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            busy = "another korsal-train run is teaching this project; wait until it has ended, or stop it"
            raise AnnotationError(f"{project.runs}: {busy}") from error
        yield


def begin(project: Project, mark: str, options: Mapping[str, object]) -> RunFolder:
    """A new folder, after all that are there. Raises AnnotationError."""
    numbers = [int(path.name) for path in project.runs.glob("*") if path.name.isdecimal()]
    path = project.runs / f"{max(numbers, default=0) + 1:03}"
    state = RunState(mark, options=options)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be made ({error.strerror}); {folders.cure(error)}") from error
    save(path, state)
    return RunFolder(path, state)


def save(path: Path, state: RunState) -> None:
    """Raises AnnotationError."""
    try:
        files.write_atomically(path / STATE, (json.dumps(asdict(state), indent=2) + "\n").encode())
    except OSError as error:
        raise AnnotationError(f"{path / STATE}: cannot be written ({error.strerror}); {folders.cure(error)}") from error


def _state(path: Path) -> RunState | None:
    try:
        content = json.loads(path.read_bytes())
        return RunState(
            str(content["fingerprint"]), tuple(content["done"]), content["finished"] is True, dict(content["options"])
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
