"""`korsal-edge index`: looks through video files as fast as it goes, and puts what it finds into the event store."""

import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.cameras.video_file import CaptureError, check_file, probe
from edge.config.schema import CameraConfig, Config, MqttConfig
from edge.history.event_store import EventStore
from edge.history.store_tables import UNREADABLE
from edge.indexing import indexed_videos
from edge.indexing.dask_workers import search_on_cluster
from edge.indexing.local_workers import search_here
from edge.indexing.search_job import Answer, SearchFailed, SearchJob
from edge.indexing.video_parts import FramesDone, SearchSettings, VideoPart, VideoSearcher
from edge.service.overload import on_cpu
from edge.sources import VIDEO_SUFFIXES
from edge.terminal import progress
from edge.terminal.progress import Progress

FILE = {"source": "video", "width": None, "height": None, "fps": None, "loop": False, "transport": "auto"}
NO_ZONES = "video"  # the camera whose zones and masks apply where none is named: it has none


class IndexingError(Exception):
    """Videos that cannot be indexed at all; the message says why."""


@dataclass(frozen=True)
class IndexOptions:
    """`jobs`: processes, None: one per core; `cluster`: address of a Dask scheduler, None: this machine.

    `named`: the files that were named themselves, of which none may be unreadable.
    """

    jobs: int | None = None
    cluster: str | None = None
    named: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class PlannedVideo:
    """A video that is still to be looked through. `frames`: those left, None where the file does not say."""

    job: SearchJob
    frames: int | None


@dataclass(frozen=True)
class Plan:
    """What is to do: the videos left, how many are done, and those that cannot be read."""

    videos: tuple[PlannedVideo, ...]
    done: int
    failed: tuple[Path, ...]


def find_videos(given: Sequence[Path]) -> list[Path]:
    """The given files, and the videos in given folders and below, each once, in order. Raises IndexingError."""
    found: dict[Path, None] = {}
    for path in given:
        if not path.exists():
            raise IndexingError(f"{path}: no such file or folder: check the path")
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in VIDEO_SUFFIXES and one.is_file())
        if path.is_dir() and not inside:
            raise IndexingError(f"{path}: holds no video ({', '.join(VIDEO_SUFFIXES)}): name its files themselves")
        for one in inside if path.is_dir() else [path]:
            found.setdefault(one.resolve(), None)
    return list(found)


def search_settings(config: Config | None, camera: str | None, model: Path | None, parallel: bool) -> SearchSettings:
    """What to look with; without a `camera` zones and masks of none, without a `config` all defaults.

    `parallel`: several processes share the cores. Raises IndexingError.
    """
    neutral = CameraConfig.model_construct(source=NO_ZONES)
    config = config or Config(cameras={NO_ZONES: neutral})
    if camera is not None and camera not in config.cameras:
        raise IndexingError(f"--camera {camera}: give one of {', '.join(config.cameras)}, for its zones")
    chosen = neutral if camera is None else config.cameras[camera].model_copy(update=FILE)
    name = camera or NO_ZONES
    given = {key: value for key, value in (("path", model), ("threads", 1 if parallel else None)) if value is not None}
    pictures = {key: getattr(config.mqtt, key) for key in ("snapshot_width", "snapshot_quality")}
    update = {
        "cameras": {name: chosen},
        "model": config.model.model_copy(update=given),
        "mqtt": MqttConfig.model_construct(**pictures),  # workers elsewhere need no password
    }
    return SearchSettings(config.model_copy(update=update), name)


def index(store_file: Path, videos: Sequence[Path], settings: SearchSettings, options: IndexOptions) -> int:
    """Look through all videos that have not been, and store what is found; 1 where a named one cannot be read.

    Raises IndexingError, StoreError, EngineError, AssetError, WorkerProcessError, ClusterError, MissingPackageError.
    """
    with VideoSearcher(settings) as searcher:
        found_with, jobs = searcher.found_with, options.jobs or default_jobs(searcher.runtime)
        if searcher.problems:
            raise IndexingError("\n".join(searcher.problems))
    try:
        store = EventStore(store_file)
        try:
            plan = planned(store, videos, found_with)
            with closing(_answers(settings, [video.job for video in plan.videos], options.cluster, jobs)) as answers:
                failed = _store_all(store, plan, answers)
        finally:
            store.close()
    except (*UNREADABLE, OSError) as error:
        reason = " ".join(str(error).split())
        goes_on = "free the disk or make it writable; the same command then goes on"
        raise IndexingError(f"{store_file}: cannot be written ({reason}): {goes_on}") from error
    return int(not options.named.isdisjoint(failed))


def default_jobs(runtime: str) -> int:
    """Processes for what runs the model: one per core, on a GPU one."""
    return len(os.sched_getaffinity(0)) if on_cpu(runtime) else 1


def planned(store: EventStore, videos: Sequence[Path], found_with: str) -> Plan:
    """What is left to do; what is said of files that cannot be read is printed."""
    left, done, failed = [], 0, list[Path]()
    for video in videos:
        try:
            check_file(video)  # before its name is stored, which may not be text
            identity = indexed_videos.identity_of(video)
            before = indexed_videos.begin(store, video, identity, found_with)
            if before.done:
                done += 1
                continue
            frames = probe(video).announced
        except (CaptureError, FileNotFoundError) as error:
            failed.append(video)
            _say(str(error))
            continue
        job = SearchJob(video, identity, before.frames)
        left.append(PlannedVideo(job, None if frames is None else max(0, frames - before.frames)))
    return Plan(tuple(left), done, tuple(failed))


def _answers(
    settings: SearchSettings, jobs: Sequence[SearchJob], cluster: str | None, count: int
) -> Generator[tuple[SearchJob, Answer], None, None]:
    if cluster is not None:
        yield from search_on_cluster(settings, jobs, cluster)
    else:
        yield from search_here(settings, jobs, count)


def _store_all(store: EventStore, plan: Plan, answers: Iterator[tuple[SearchJob, Answer]]) -> tuple[Path, ...]:
    """Store what comes, show how far it is, and print what was found; the videos that have failed."""
    total = sum(video.frames or 0 for video in plan.videos)
    counted = all(video.frames is not None for video in plan.videos)
    found, failed = Counter[str](), list(plan.failed)
    bar = Progress("indexing", "frame", total) if counted else Progress("indexing", "video", len(plan.videos))
    try:
        with bar:
            for job, answer in answers:
                if isinstance(answer, FramesDone):
                    bar.update(answer.count if counted else 0)
                elif isinstance(answer, SearchFailed):
                    failed.append(job.video)
                    _say(answer.fault)
                elif indexed_videos.add(store, job.video, job.identity, answer, time.time()):
                    _print_part(job, answer)
                    found.update(event.payload["action"] for event in answer.found)
                if not counted and not isinstance(answer, FramesDone):
                    bar.update(int(isinstance(answer, SearchFailed) or answer.ended))
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        raise
    print(_summary(plan, found, len(failed)), file=sys.stderr)
    return tuple(failed)


def _print_part(job: SearchJob, part: VideoPart) -> None:
    for event in sorted(part.found, key=lambda event: str(event.payload["started"])):
        payload = event.payload
        place = str(payload["started"])[11:19]
        text = f"{job.video.name}  {place}  {payload['action']:16}  {payload['top_score']:.2f}"
        progress.print_line(f"{text}  {payload['duration']:.1f} s")
    for note in part.notes:
        _say(note)


def _summary(plan: Plan, found: Counter[str], failed: int) -> str:
    seen = len(plan.videos) + len(plan.failed) - failed
    events = ", ".join(f"{action} {count}" for action, count in sorted(found.items())) or "none"
    before = f", {plan.done} were done before" if plan.done else ""
    unreadable = f", {failed} cannot be read" if failed else ""
    return f"{seen} video{'s' * (seen != 1)} looked through{before}{unreadable}; events: {events}"


def _say(sentence: str) -> None:
    progress.print_line(sentence, sys.stderr)
