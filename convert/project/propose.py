"""`korsal-train propose`: finds people in a project's videos and writes their tubes for CVAT. Shell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.project import folders, guesses, person_tracks, proposals, yolo
from convert.project.folders import Project
from edge import files, linker, model_files, pipeline
from edge.cameras.video_file import CaptureError, probe, read_file
from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.event_settings import ActionSettings
from edge.inference import Engine
from edge.manifest import Manifest
from edge.pipeline import PipelineSettings
from edge.sources import VIDEO_SUFFIXES
from edge.terminal import progress
from edge.tubes import TubeBox
from train.datasets import cvat_writer, own_data, project_data
from train.datasets.annotation_records import AnnotationError
from train.datasets.cvat import read_cvat
from train.datasets.cvat_writer import VideoFacts
from train.open_model import open_model

TOLERANCE = 0.1  # of a box's shorter side, by which thinned keyframes may move it
LEAST_SCORE = 0.3  # of a person found by a detector of others
LABELS = "labels.json"

Tubes = Iterator[tuple[int, Sequence[TubeBox]]]  # frame by frame
Finder = Callable[[Path], Tubes]


@dataclass(frozen=True)
class ProposeOptions:
    """How to find people, and by which model of ours to guess what they do; None: by the detector, if it is one.

    `again`: write anew what was proposed before; the old file is kept beside it.
    """

    detector: Path
    guesser: Path | None = None
    person: int = 0
    least_score: float = LEAST_SCORE
    again: bool = False
    threads: int = 0


def propose(project: Project, options: ProposeOptions) -> Iterator[str]:
    """Write a file for each video that has neither annotation nor proposal of its pictures; yields a sentence on each.

    Raises AnnotationError, EngineError, ModelError; CaptureError for videos that cannot be read, after all others.
    """
    if not project_data.video_names(project.folder):
        raise AnnotationError(project_data.no_video(project.folder))
    _save(project.proposals / LABELS, cvat_writer.labels_json(project_data.PERSON, project.settings.actions))
    videos = missing(project, options.again)
    yield from project_data.passed_over(project.folder, project_data.VIDEOS)
    if not videos:
        yield f"{project.proposals}: every video is annotated, quiet, or has a proposal; --again writes them anew"
        return
    named = model_files.read(options.detector)
    knowing = model_files.read(options.guesser) if options.guesser else named
    guessed = _guessed(knowing.manifest, project.settings.actions) if knowing else {}
    with finder(options, named.manifest if named else None) as find, _second(options, guessed) as second:
        unread = list[CaptureError]()
        for name, video in videos.items():
            target = project.proposals / f"{name}.xml"
            try:
                yield f"{target}: {_write(target, name, video, (find, *second), guessed)}"
            except CaptureError as error:
                unread.append(error)
    if unread:
        count = len(unread) - 1
        more = f"; {count} more video{'s' * (count > 1)} cannot be read" if count else ""
        raise CaptureError(f"{unread[0]}{more}; all others have their proposals")


@dataclass(frozen=True)
class UnseenVideo:
    """A video in which people are to be found; `fault`: of the proposal that is there and not of its pictures."""

    path: Path
    fault: str = ""


def missing(project: Project, again: bool = False) -> Mapping[str, UnseenVideo]:
    """The videos without annotation or proposal of their pictures, by name; with `again` those without annotation."""
    names = project_data.video_names(project.folder)
    known = [read_cvat(path).name for path in own_data.cvat_files(project.folder)]
    settled = {one for name in known for one in project_data.meant(name, names)}
    quiet = project_data.quiet_names(project.folder, project.settings, names)
    folder = project.folder / project_data.VIDEOS
    found = {}
    for path in own_data.files_below(folder):
        name = project_data.name_of(folder, path)
        if path.suffix.lower() not in VIDEO_SUFFIXES or name in settled or name in quiet:
            continue
        proposal = project.proposals / f"{name}.xml"
        fault = proposals.outdated(proposal, path) if proposal.exists() and not again else ""
        if again or fault or not proposal.exists():
            found[name] = UnseenVideo(path, fault)
    return found


def finder(options: ProposeOptions, manifest: Manifest | None) -> AbstractContextManager[Finder]:
    """A detector of ours by the pipeline of the daemon, one of others frame by frame."""
    if manifest is None:
        find = yolo.opened(options.detector, options.person, options.least_score)
        return nullcontext(lambda path: _linked(path, find))
    return _OwnDetector(options.detector, options.threads)


@contextmanager
def _second(options: ProposeOptions, guessed: Mapping[int, tuple[str, float]]) -> Iterator[tuple[Finder, ...]]:
    """What guesses what people do, where it is not the detector itself."""
    if options.guesser is None or not guessed:
        yield ()
        return
    with _OwnDetector(options.guesser, options.threads) as find:
        yield (find,)


class _OwnDetector(AbstractContextManager[Finder]):
    """People who do any of the actions that a model of ours knows."""

    def __init__(self, path: Path, threads: int) -> None:
        self._opened = open_model(path, threads)

    def __enter__(self) -> Finder:
        engine: Engine = self._opened.engine

        def find(path: Path) -> Tubes:
            frames = read_file(path, path.stem)
            for frame, result, _ in pipeline.run(
                frames, engine, PipelineSettings(), pipeline.initial(path.stem, seed="proposal")
            ):
                yield frame.index, result.tube_boxes

        return find

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _linked(path: Path, find: Callable[[NDArray[np.uint8]], Detections]) -> Tubes:
    rule, state = DefaultLinker(), linker.initial()
    for frame in read_file(path, path.stem):
        state, live = rule.step(state, find(frame.image), frame.monotonic_time)
        yield frame.index, live


def _guessed(manifest: Manifest, actions: Sequence[str]) -> dict[int, tuple[str, float]]:
    """Of the actions that both know the number and the score from which they are guessed."""
    usual = ActionSettings.start_score
    return {
        number: (name, manifest.start_scores.get(name, usual))
        for number, name in enumerate(manifest.labels)
        if name in actions
    }


def _write(
    target: Path, name: str, video: UnseenVideo, finders: Sequence[Finder], guessed: Mapping[int, tuple[str, float]]
) -> str:
    """Write the proposal of one video; returns what was found. `finders`: of people, and if need be of actions."""
    path = video.path
    if problem := proposals.name_problem(name):
        raise CaptureError(f"{path}: {problem}")
    info, digest = probe(path), proposals.digest(path)
    what = (f"looking for people in {path.name}", f"guessing what they do in {path.name}")
    history, *acting = (
        list(progress.track(find(path), text, "frame", info.announced))
        for find, text in zip(finders, what, strict=False)
    )
    frames = max((index + 1 for index, _ in history), default=0)
    for one in acting:
        history = guesses.laid_over(history, one)
    found = person_tracks.tracks(history, info.size, info.fps or 25.0, guessed)
    text = cvat_writer.as_xml(
        VideoFacts(f"{name}{path.suffix}", frames, info.size, digest), found, project_data.PERSON, TOLERANCE
    )
    aside = _aside(target, text, video.fault) if target.exists() else ""
    _save(target, text)
    doing = sum(any(action is not None for action in one.actions) for one in found)
    with_action = f", {doing} of them with a guessed action" if guessed else ""
    people = "1 person" if len(found) == 1 else f"{len(found)} people"
    return f"{people} in {frames} frames{with_action}, {text.count('<box ')} boxes to look at{aside}"


def _aside(target: Path, text: str, fault: str) -> str:
    """Keep the proposal that is there by another name, for somebody may have corrected it; a sentence on that.

    "" where it is the same as the new one.
    """
    why = f"{fault}, and " if fault else ""
    try:
        if target.read_bytes() == text.encode():
            return ""
        return f"; the one before {why}is now {proposals.kept(target).name}"
    except OSError as error:
        sentence = f"{target}: {why}cannot be kept beside a new one ({error.strerror}); {folders.cure(error)}"
        raise AnnotationError(sentence) from error


def _save(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, text.encode())
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be written ({error.strerror}); {folders.cure(error)}") from error
