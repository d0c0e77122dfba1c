"""Looks through videos in processes of this machine, one video each at a time. Shell.

A process that dies, as for lack of memory, is replaced, and its video goes on after its last part; the second time the
video is given up.
"""

import contextlib
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from edge.indexing.search_job import Answer, SearchFailed, SearchJob, answers, is_last
from edge.indexing.video_parts import SearchSettings, VideoPart, VideoSearcher
from edge.inference import EngineError

MOST_DEATHS = 2  # of processes, of one video
END_SECONDS = 2.0
NICENESS = 10  # a daemon on this machine goes first
NO_JOB = SearchJob(Path(), "")


class WorkerProcessError(Exception):
    """No worker can be had; the message says why."""


def search_here(settings: SearchSettings, jobs: Sequence[SearchJob], count: int) -> Iterator[tuple[SearchJob, Answer]]:
    """The answers to all jobs as they come, from `count` processes. Raises WorkerProcessError.

    Closing the iterator ends the processes.
    """
    waiting, deaths = deque(jobs), Counter[SearchJob]()
    workers = [_Worker(settings) for _ in range(min(count, len(jobs)))]
    try:
        while waiting or any(worker.job for worker in workers):
            for worker in workers:
                if worker.job is None and waiting:
                    worker.give(waiting.popleft())
            for worker in _ready(workers):
                answer = worker.answer()
                if answer is not None:
                    yield worker.named, answer
                    continue
                workers[workers.index(worker)] = _Worker(settings)
                worker.kill()
                if worker.job is None:
                    continue
                deaths[worker.named] += 1
                if deaths[worker.named] >= MOST_DEATHS:
                    fault = "the process that looks through it ended twice, perhaps for lack of memory"
                    yield worker.named, SearchFailed(f"{worker.named.video}: {fault}: try --jobs 1")
                else:
                    waiting.appendleft(worker.job)
    finally:
        for worker in workers:
            worker.kill()


class _Worker:
    """One process. `named`: its job as it was given, `job`: what is left of it, None where it is idle."""

    def __init__(self, settings: SearchSettings) -> None:
        context = multiprocessing.get_context("spawn")  # the runtimes' threads do not survive a fork
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(settings, theirs), daemon=True)
        try:
            self._process.start()
        except OSError as error:
            raise WorkerProcessError(f"no process can be started ({error.strerror}): try --jobs 1") from error
        theirs.close()
        self.job: SearchJob | None = None
        self.named = NO_JOB

    @property
    def connection(self) -> Connection:
        """For waiting."""
        return self._connection

    def give(self, job: SearchJob) -> None:
        """A job for an idle worker; one that has died is found out when it does not answer."""
        self.job = job
        self.named = job
        with contextlib.suppress(OSError):
            self._connection.send(job)

    def answer(self) -> Answer | None:
        """What it says; None where it has died."""
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            return None
        if isinstance(answer, str):
            raise WorkerProcessError(answer)
        if is_last(answer):
            self.job = None
        elif isinstance(answer, VideoPart) and self.job is not None:
            self.job = replace(self.job, first=answer.following)
        found: Answer = answer
        return found

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join(END_SECONDS)
        self._connection.close()


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Those that have answered, or died."""
    ready = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


def _work(settings: SearchSettings, connection: Connection) -> None:
    """What a process does: a job after the other, until its parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    os.nice(NICENESS)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            with VideoSearcher(settings) as searcher:
                while True:
                    for answer in answers(searcher, connection.recv()):
                        connection.send(answer)
        except EngineError as error:
            connection.send(str(error))
