"""One model over many tasks, in one process and in several."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from edge.inference import Engine
from tests.support.annotated_player import write_model
from tests.support.paths import ROOT
from train.evaluation.model_pool import WorkerError, default_jobs, run_tasks

PROGRAM = """
import os, sys
from pathlib import Path
from train.evaluation.model_pool import run_tasks

def process(engine, task):
    return os.getpid()

if __name__ == "__main__":
    results = run_tasks(Path(sys.argv[1]), process, "ab" * 10, 2)
    print(next(results), flush=True)
    sys.stdin.read()
"""


def named(engine: Engine, task: str) -> tuple[str, str, int]:
    return engine.manifest.name, task, os.getpid()


def die(engine: Engine, task: str) -> None:
    os._exit(1)


@pytest.mark.parametrize(("jobs", "tasks"), [(1, "abc"), (2, "abc"), (8, "a"), (None, "ab")])
def test_results_come_in_the_order_of_the_tasks(tmp_path: Path, jobs: int | None, tasks: str) -> None:
    results = list(run_tasks(write_model(tmp_path / "tiny.onnx"), named, tasks, jobs))
    assert [result[:2] for result in results] == [("tiny", task) for task in tasks]
    alone = min(jobs or default_jobs(tmp_path / "tiny.onnx"), len(tasks)) == 1
    assert {result[2] == os.getpid() for result in results} == {alone}


def test_a_worker_that_dies_ends_the_work_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"a worker process died.*; try --jobs 1"):
        list(run_tasks(write_model(tmp_path / "tiny.onnx"), die, "ab", 2))


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = (sys.executable, script, write_model(tmp_path / "tiny.onnx"))
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        workers = psutil.Process(parent.pid).children(recursive=True)
        assert worker in workers
        parent.kill()
        assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_a_gpu_holds_one_engine_only() -> None:
    assert default_jobs(Path("tiny.engine")) == 1
