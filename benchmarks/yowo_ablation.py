"""The experiments on `yowo_lite`, one after the other: what each part of it is worth, and how it does beside KORSAL.

    python -m benchmarks.yowo_ablation DATA --out FOLDER --memory MOVINET [--beside MODEL.onnx] [--other-data DATA]

Each result is a line of FOLDER/results.jsonl; what has one is not run again, and the same command goes on where it was
stopped, also within a training. It ends with the tables of docs/yowo.md, as far as there are results; `--only tables`
prints them alone. Choices are made on validation videos; the test videos are looked at by `test` alone, once.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import yowo_runs, yowo_scores, yowo_tables
from benchmarks.clip_every import EVERY
from benchmarks.teaching import Results
from benchmarks.yowo_ensemble import mixed
from benchmarks.yowo_runs import ABLATION, BESIDE, CLIPS, LITE_MEMORY, OTHER_DATA, PLAIN, RULES, Budget, Run
from benchmarks.yowo_scores import Data
from edge.terminal.arguments import whole_number, with_commas
from train.evaluation import detection_file

ROUNDS = 8  # of timing
STEPS = ("every", "other_data", "test", "ensemble", "tables")  # beside the names of the runs


@dataclass(frozen=True)
class Job:
    """Something to measure: its name for `--only`, what its result is of, and how that comes to be."""

    name: str
    of: dict[str, Any]
    work: Callable[[], dict[str, Any]]
    after: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Plan:
    """What is asked for. `beside`: the model to compare with; `other`: another data set, to look at mistakes in."""

    budget: Budget
    seeds: tuple[int, ...]
    beside: Path | None
    other: Path | None
    jobs: int

    @property
    def data(self) -> Data:
        """Whose videos are scored."""
        return Data(self.budget.data, self.jobs)

    def best(self, run: Run) -> Path:
        """Its checkpoint, of the first seed."""
        return yowo_runs.folder_of(run, self.seeds[0], self.budget) / "best.pt"


def jobs(plan: Plan) -> Iterator[Job]:
    """All of them, seed by seed, so that what is there early is whole."""
    for seed in plan.seeds:
        for run in (*ABLATION, *RULES):
            yield _training(run, seed, plan.budget)
    for run in BESIDE:
        yield _training(run, plan.seeds[0], plan.budget)
    yield from _every(plan)
    if plan.other is not None:
        yield from _mistakes_elsewhere(plan, plan.other)
    yield from _tests(plan)
    yield from _ensemble(plan)


def _training(run: Run, seed: int, budget: Budget) -> Job:
    of = {"run": run.name, "seed": seed, "samples": budget.samples}
    parts = run, seed, budget
    return Job(run.name, of, partial(yowo_runs.trained, *parts), partial(yowo_runs.tidy, *parts))


def _every(plan: Plan) -> Iterator[Job]:
    """Accuracy and time of one model that was trained for all of them."""
    best = plan.best(CLIPS)

    def accuracy(every: int) -> dict[str, Any]:
        return {"frame_map": yowo_scores.validated_at(best, every, plan.budget.cache)}

    for every in EVERY:
        yield Job("every", {"every": every}, partial(accuracy, every))

    def times() -> dict[str, Any]:
        found = yowo_scores.speeds_of_every(yowo_scores.exported(best), EVERY, ROUNDS)
        return {str(every): one for every, one in zip(EVERY, found, strict=True)}

    yield Job("every", {"speed": "every"}, times)


def _mistakes_elsewhere(plan: Plan, other: Path) -> Iterator[Job]:
    """Another data set, learned from alone, for actions that these data have not; its validation videos."""
    budget, seed = replace(plan.budget, data=other), plan.seeds[0]
    yield replace(_training(OTHER_DATA, seed, budget), name="other_data")
    best = plan.best(OTHER_DATA)

    def work() -> dict[str, Any]:
        data = Data(other, plan.jobs)
        found = yowo_scores.detections(yowo_scores.exported(best), best.parent, data, "validation")
        return yowo_scores.figures(found, data, "validation")

    yield Job("other_data", {"mistakes": OTHER_DATA.name}, work)


def _tests(plan: Plan) -> Iterator[Job]:
    """The test videos, once; all models in turns for their times."""
    runs = {run.name: plan.best(run) for run in (PLAIN, *BESIDE)}

    def tested(best: Path) -> dict[str, Any]:
        return yowo_scores.tested(yowo_scores.exported(best), best.parent, plan.data)

    for name, best in runs.items():
        yield Job("test", {"test": name}, partial(tested, best))
    if plan.beside is None:
        return
    beside = plan.beside
    yield Job("test", {"test": "beside"}, lambda: yowo_scores.tested(beside, plan.budget.out / "beside", plan.data))

    def times() -> dict[str, Any]:
        models = [beside, *(yowo_scores.exported(best) for best in runs.values())]
        found = yowo_scores.speeds(models, ROUNDS)
        return dict(zip(("beside", *runs), found, strict=True))

    yield Job("test", {"speed": "test"}, times)


def _ensemble(plan: Plan) -> Iterator[Job]:
    """Two networks trained alike, each alone and both together, on the validation videos."""
    ones = {run.name: plan.best(run) for run in (PLAIN, LITE_MEMORY)}

    def alone(best: Path) -> dict[str, Any]:
        found = yowo_scores.detections(yowo_scores.exported(best), best.parent, plan.data, "validation")
        return yowo_scores.figures(found, plan.data, "validation")

    for name, best in ones.items():
        yield Job("ensemble", {"validation": name}, partial(alone, best))

    def together() -> dict[str, Any]:
        folder = plan.budget.out / "ensemble"
        folder.mkdir(parents=True, exist_ok=True)
        files = [best.parent / "validation.npz" for best in ones.values()]
        both = mixed(*(detection_file.load(file, dense=True) for file in files))
        detection_file.save(both, folder / "validation.npz")
        found = yowo_scores.linked(folder / "validation.npz", plan.data, "validation")
        return yowo_scores.figures(found, plan.data, "validation")

    yield Job("ensemble", {"validation": "both"}, together)


def main(arguments: list[str] | None = None) -> None:
    """Do what has no result yet, and print the tables."""
    options = _parser().parse_args(arguments)
    plan = plan_of(options)
    results = Results(options.out / "results.jsonl")
    known = {job.name for job in jobs(plan)} | {*STEPS}
    if unknown := [name for name in options.only if name not in known]:
        raise SystemExit(f"--only {unknown[0]}: there are {', '.join(sorted(known))}")
    for job in jobs(plan):
        if not results.has(job.of) and (not options.only or job.name in options.only):
            print(f"{job.name}: {job.of}", flush=True)
            results.add(job.of, job.work())
            job.after()
    print(yowo_tables.tables(results.lines))


def plan_of(options: argparse.Namespace) -> Plan:
    """As the options say."""
    budget = Budget(
        options.data,
        options.out,
        options.cache or options.out / "cache",
        options.memory,
        options.samples,
        options.height,
        options.width,
        options.batch,
        options.workers,
        options.learning_rate,
    )
    return Plan(budget, tuple(options.seeds), options.beside, options.other_data, max(options.workers, 1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The experiments on yowo_lite; goes on where it was stopped.")
    add = parser.add_argument
    add("data", type=Path, help="a data set, as korsal-train takes it")
    add("--out", type=Path, required=True, help="for runs and results.jsonl")
    add("--memory", type=Path, required=True, help="MoViNet's weights, as korsal-train --memory takes them")
    add("--beside", type=Path, help="a model to compare with on the test videos; default: none")
    add("--other-data", type=Path, help="a data set to train on alone and look at mistakes; default: none")
    add("--only", type=lambda text: text.split(","), default=[], help=f"runs, or of {', '.join(STEPS)}; default: all")
    add("--seeds", type=with_commas(whole_number(0)), default=(1, 2), help="default: 1,2")
    add("--samples", type=whole_number(1), default=12_000, help="of a run; default: %(default)s")
    add("--batch", type=whole_number(1), default=16, help="default: %(default)s")
    add("--height", type=int, default=224, help="of the input, pixels; default: %(default)s")
    add("--width", type=int, default=288, help="likewise; default: %(default)s")
    add("--learning-rate", default=yowo_runs.LEARNING_RATE, help="of yowo_lite; default: %(default)s")
    add("--cache", type=Path, help="decoded frames and maps, of other runs too; default: in --out")
    add("--workers", type=whole_number(0), default=0, help="processes that prepare samples; default: none further")
    return parser


if __name__ == "__main__":
    main()
