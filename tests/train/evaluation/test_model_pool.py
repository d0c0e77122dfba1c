"""One model over many tasks, in one process and in several."""

import os
from pathlib import Path

import pytest

from edge.inference import Engine
from tests.support.annotated_player import write_model
from train.evaluation.model_pool import WorkerError, default_jobs, run_tasks


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


def test_a_gpu_holds_one_engine_only() -> None:
    assert default_jobs(Path("tiny.engine")) == 1
