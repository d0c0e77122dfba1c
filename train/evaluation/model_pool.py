"""Shell. One model over many videos, in this process or in several, each of which opens it once."""

import atexit
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from edge.inference import Engine
from edge.manifest import PreprocessingChoice
from train.open_model import is_engine, open_model

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerError(Exception):
    """A worker process that died; the message names the remedy."""


def run_tasks(
    model: Path,
    run: Callable[[Engine, Task], Result],
    tasks: Sequence[Task],
    jobs: int | None,
    preprocessing: PreprocessingChoice = "auto",
) -> Iterator[Result]:
    """The result of `run` for each task, in order, `jobs` at a time; None: as many as `default_jobs`.

    `preprocessing` is that of `train.open_model`. `run` is a function of a module, so that other processes can import
    it. Raises WorkerError and what `run` raises.
    """
    jobs = min(jobs or default_jobs(model), len(tasks))
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)  # of one operator
    if jobs == 1:
        with open_model(model, threads, preprocessing) as engine:
            yield from (run(engine, task) for task in tasks)
        return
    # spawned, not forked: the runtimes' threads do not survive a fork
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        try:
            yield from pool.map(partial(_run_in_worker, model, threads, preprocessing, run), tasks)
        except BrokenProcessPool as error:
            raise WorkerError("a worker process died, perhaps for lack of memory; try --jobs 1") from error


def default_jobs(model: Path) -> int:
    """One per core. One for a TensorRT engine, of which each process would hold its own on the one GPU."""
    return 1 if is_engine(model) else len(os.sched_getaffinity(0))


def _end_with_parent() -> None:
    """In a worker: end it when the process that it works for is killed, else it would wait for tasks for ever."""
    threading.Thread(target=_end_after, args=(multiprocessing.parent_process(),), name="parent", daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _run_in_worker(
    model: Path, threads: int, preprocessing: PreprocessingChoice, run: Callable[[Engine, Task], Result], task: Task
) -> Result:
    return run(_engine(model, threads, preprocessing), task)


@lru_cache(maxsize=1)
def _engine(model: Path, threads: int, preprocessing: PreprocessingChoice) -> Engine:
    """One engine for each worker process, closed when the process ends."""
    opened = open_model(model, threads, preprocessing)
    atexit.register(opened.close)
    return opened.engine
