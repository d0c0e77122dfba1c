"""How good teaching becomes with how many annotated scenes, and what start, backbone and negatives are worth.

    python -m benchmarks.teach_curves DATA --out FOLDER --new Basketball,CricketBowling --start WEIGHTS [--vary …]

DATA is a data set as korsal-train takes it, NEW are actions that WEIGHTS have not seen, so train those without them.
`--vary` chooses what is compared at each number of scenes: `scenes` alone, `start` (WEIGHTS against ImageNet's),
`backbone` (all against frozen), `negatives` (quiet videos of other actions against none), `samples` (1,500 and 6,000
against as many as usual) or `rate` (of learning, 0.0003 and 0.003 against the usual). Two scenes of each action are
held out to choose on; the data set's test videos are scored. Results are lines of FOLDER/results.jsonl; the same
command goes on where it was stopped. Hours: a run for each number of scenes, setting and seed.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import teach_plot
from benchmarks.teaching import ALL, Results, Selection, Teaching, by_scene, make_project, taught
from convert.project import steps
from edge.terminal.arguments import whole_number, with_commas
from train.datasets import loader
from train.datasets.annotation_records import DataSet

VARIED = ("scenes", "start", "backbone", "negatives", "samples", "rate")
HELD_OUT = 2  # scenes of each action
SAMPLES_VARIED, RATES_VARIED = (1500, 6000), (3e-4, 3e-3)
FIGURES = ("frame_map", "validation", "recall", "precision", "alarms_per_hour", "minutes")


@dataclass(frozen=True)
class Cell:
    """One run: how many scenes of each action, and how it is taught."""

    scenes: int
    seed: int
    start: str
    frozen: bool = False
    negatives: bool = True
    samples: int = steps.SAMPLES
    rate: float = steps.LEARNING_RATE

    @property
    def folder(self) -> str:
        """Of its project."""
        words = ["imagenet" if not self.start else "ours", *(["frozen"] if self.frozen else [])]
        words += [] if self.negatives else ["alone"]
        words += [f"{name}{value:g}" for name, value in self._unusual.items()]
        return "-".join([*words, f"{self.scenes}", f"seed{self.seed}"])

    @property
    def key(self) -> dict[str, Any]:
        """What its result is of."""
        of: dict[str, Any] = {"scenes": self.scenes or teach_plot.ALL, "start": "ours" if self.start else "ImageNet"}
        of |= {"backbone": "frozen" if self.frozen else "all", "negatives": self.negatives, **self._unusual}
        return {**of, "seed": self.seed}

    @property
    def _unusual(self) -> dict[str, float]:
        """How it learns otherwise than by default."""
        usual = {"samples": (self.samples, steps.SAMPLES), "rate": (self.rate, steps.LEARNING_RATE)}
        return {name: value for name, (value, default) in usual.items() if value != default}


def cells(vary: str, scenes: Sequence[int], seeds: Sequence[int], start: str) -> Iterator[Cell]:
    """Seed by seed, so that what is there early is whole."""
    for seed in seeds:
        for count in scenes:
            yield Cell(count, seed, start)
            if vary == "start":
                yield Cell(count, seed, "")
            if vary == "backbone":
                yield Cell(count, seed, start, frozen=True)
            if vary == "negatives":
                yield Cell(count, seed, start, negatives=False)
            if vary == "samples":
                yield from (Cell(count, seed, start, samples=samples) for samples in SAMPLES_VARIED)
            if vary == "rate":
                yield from (Cell(count, seed, start, rate=rate) for rate in RATES_VARIED)


def selection(data: DataSet, actions: Sequence[str], cell: Cell, most: int) -> Selection:
    """So many scenes of each action, drawn by the seed, with at most so many videos of each part and action; 0: all."""
    random = np.random.default_rng(cell.seed)
    known = by_scene(data, actions, [video.name for video in data.train])
    training: list[str] = []
    validation: list[str] = []
    for action in actions:
        drawn = [known[action][name] for name in random.permutation(sorted(known[action])).tolist()]
        used = drawn[HELD_OUT:] if cell.scenes == ALL else drawn[HELD_OUT : HELD_OUT + cell.scenes]
        validation += _few([name for videos in drawn[:HELD_OUT] for name in videos], most)
        training += _few([name for videos in used for name in videos], most)
    others = [video.name for video in data.train if not any(data.labels[tube.label] in actions for tube in video.tubes)]
    quiet = random.permutation(others).tolist()[: len(training)] if cell.negatives else []
    wanted = {video.name: {data.labels[tube.label] for tube in video.tubes} for video in data.test}
    test = [name for action in actions for name in _few([name for name in wanted if action in wanted[name]], most)]
    parts = [tuple(dict.fromkeys(part)) for part in (training, validation, test, quiet)]
    return Selection(parts[0], tuple(name for name in parts[1] if name not in parts[0]), parts[2], parts[3])


def _few(names: list[str], most: int) -> list[str]:
    return names[:most] if most else names


def main() -> None:
    """Run what has no result yet, and print means over seeds."""
    options = _parser().parse_args()
    data = loader.load(options.data)
    actions = tuple(options.new.split(","))
    if unknown := [action for action in actions if action not in data.labels]:
        raise SystemExit(f"{options.data}: knows no {unknown[0]}, but {', '.join(data.labels)}; correct --new")
    start = options.start if options.start == "shipped" else str(Path(options.start).resolve())
    results = Results(options.out / "results.jsonl")
    for cell in cells(options.vary, options.scenes, options.seeds, start):
        if results.has(cell.key):
            continue
        folder = options.out / cell.folder
        make_project(folder, data, actions, selection(data, actions, cell, options.most), cell.start)
        how = Teaching(cell.start, cell.samples, cell.seed, cell.frozen, cell.rate)
        results.add(cell.key, taught(folder, how, ("--workers", str(options.workers), "--device", options.device)))
    results.print_means(FIGURES)
    if options.plot:
        others = [line for path in options.beside for line in Results(path).lines]
        teach_plot.draw([*results.lines, *others], options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Teach with few scenes, many, and in other ways.")
    add = parser.add_argument
    add("data", type=Path, help="a data set, as korsal-train takes it")
    add("--out", type=Path, required=True, help="for projects and results.jsonl")
    add("--new", required=True, help="the actions to teach, with commas between")
    add("--start", default="shipped", help="weights that have not seen these; default: %(default)s, which has")
    add("--vary", choices=VARIED, default="scenes", help="what is compared; default: %(default)s")
    add("--scenes", type=with_commas(whole_number(0)), default=(2, 4, 8, ALL), help="of each action; 0: all")
    add("--seeds", type=with_commas(whole_number(0)), default=(0, 1, 2), help="default: 0,1,2")
    add("--most", type=int, default=0, help="videos of each part and action, for a trial; default: all")
    add("--workers", type=int, default=1, help="processes that prepare samples; default: %(default)s")
    add("--device", default="auto", help="default: a GPU where there is one")
    add("--plot", type=Path, help="a PNG file to draw the curves in; default: none")
    add("--beside", type=Path, nargs="*", default=[], help="results.jsonl of other weights, to be drawn too")
    return parser


if __name__ == "__main__":
    main()
