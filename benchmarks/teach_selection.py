"""What it is worth to let the model choose what is annotated next, against choosing by chance.

    python -m benchmarks.teach_selection DATA --out FOLDER --new Basketball,CricketBowling --start WEIGHTS

Labels of half of the scenes are hidden for good. After a first run on some scenes, three rounds each add as many: those
of whose videos the daemon's rule of doubts ([teaching], its pause aside) keeps most seconds with the newest model, or
random ones. Both ways begin with the same first run. The data set's test videos are scored after each round. Results
are lines of FOLDER/results.jsonl; the same command goes on where it was stopped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.teach_curves import FIGURES, HELD_OUT
from benchmarks.teaching import Results, Selection, Teaching, by_scene, make_project, newest_model, taught
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.history import doubts
from edge.history.doubts import PAUSE_SECONDS, Watched
from edge.history.second_linker import Linked
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.terminal.arguments import whole_number, with_commas
from train.datasets import loader
from train.datasets.annotation_records import DataSet
from train.open_model import open_model

WAYS = ("doubts", "chance")
Scenes = dict[str, list[str]]  # videos by scene


@dataclass(frozen=True)
class Pool:
    """The scenes of the training videos: to choose from, and to hold out; the test videos."""

    open: Scenes
    held: Scenes
    test: tuple[str, ...]


def pool(data: DataSet, actions: Sequence[str], seed: int, most: int) -> Pool:
    """Two scenes of each action are held out; of what is left half can be annotated."""
    random = np.random.default_rng(seed)
    free: Scenes = {}
    held: Scenes = {}
    for scenes in by_scene(data, actions, [video.name for video in data.train]).values():
        names = random.permutation(sorted(scenes)).tolist()
        held |= {name: scenes[name][: most or None] for name in names[:HELD_OUT]}
        free |= {name: scenes[name][: most or None] for name in names[HELD_OUT:]}
    kept = random.permutation(sorted(free.keys() - held.keys())).tolist()
    kept = kept[: (len(kept) + 1) // 2]
    test = [video.name for video in data.test if any(data.labels[tube.label] in actions for tube in video.tubes)]
    return Pool({name: free[name] for name in kept}, held, tuple(test[: most * len(actions) or None]))


def in_doubt(engine: Engine, path: Path) -> float:
    """Seconds of the doubts about a video, as the daemon finds them, without the pause between two."""
    state, settings, seconds = doubts.initial("pool"), PipelineSettings(), 0.0
    for frame, result, after in pipeline.run(
        read_file(path, "pool"), engine, settings, pipeline.initial("pool", "selection")
    ):
        linked = Linked(result.detections, settings.linker, after.events)
        watched = Watched(result.tube_boxes, engine.manifest.labels, settings.events, linked)
        state, found = doubts.step(replace(state, decided=-PAUSE_SECONDS), frame, watched)
        seconds += sum(one.seconds for one in found)
    return seconds


def next_scenes(way: str, model: Path, data: DataSet, left: Scenes, number: int, seed: int) -> list[str]:
    """The scenes to annotate next."""
    order: list[str] = np.random.default_rng(seed).permutation(sorted(left)).tolist()
    if way == "chance":
        return order[:number]
    opened = open_model(model, 1)
    try:
        mean = {
            name: float(np.mean([in_doubt(opened.engine, data.video(video)) for video in left[name]])) for name in order
        }
    finally:
        opened.close()
    return sorted(order, key=lambda name: -mean[name])[:number]  # stable: ties by chance


def rounds(options: argparse.Namespace, data: DataSet, actions: Sequence[str], seed: int, way: str) -> None:
    """The first run, then a run after each round."""
    results, known = Results(options.out / "results.jsonl"), pool(data, actions, seed, options.most)
    annotated = np.random.default_rng([seed, 1]).permutation(sorted(known.open)).tolist()[: options.add]
    for number in count():
        folder = options.out / ("first" if not number else way) / f"seed{seed}-round{number}"
        training = [video for name in annotated for video in known.open[name]]
        held = [video for name in known.held for video in known.held[name] if video not in training]
        chosen = Selection(tuple(dict.fromkeys(training)), tuple(dict.fromkeys(held)), known.test)
        make_project(folder, data, actions, chosen, options.start)
        key: dict[str, Any] = {"way": way, "round": number, "scenes": len(annotated), "seed": seed}
        if not results.has(key):
            how = Teaching(options.start, options.samples, seed)
            results.add(key, taught(folder, how, ("--workers", str(options.workers), "--device", options.device)))
        left = {name: videos for name, videos in known.open.items() if name not in annotated}
        if number == options.rounds or not left:
            return
        annotated = annotated + next_scenes(way, newest_model(folder), data, left, options.add, 100 * seed + number)


def main() -> None:
    """Run what has no result yet, and print means over seeds."""
    options = _parser().parse_args()
    if options.start not in ("shipped", ""):
        options.start = str(Path(options.start).resolve())
    data, actions = loader.load(options.data), tuple(options.new.split(","))
    for seed in options.seeds:
        for way in WAYS:
            rounds(options, data, actions, seed, way)
    Results(options.out / "results.jsonl").print_means(FIGURES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Let the model choose what to annotate, or chance.")
    add = parser.add_argument
    add("data", type=Path, help="a data set, as korsal-train takes it")
    add("--out", type=Path, required=True, help="for projects and results.jsonl")
    add("--new", required=True, help="the actions to teach, with commas between")
    add("--start", default="shipped", help="weights that have not seen these; default: %(default)s, which has")
    add("--add", type=whole_number(1), default=4, help="scenes of the first run, and of each round; default: 4")
    add("--rounds", type=int, default=3, help="default: %(default)s")
    add("--seeds", type=with_commas(whole_number(0)), default=(0, 1), help="default: 0,1")
    add("--samples", type=int, default=3000, help="frames of a run; default: %(default)s")
    add("--most", type=int, default=0, help="videos of each scene, for a trial; default: all")
    add("--workers", type=int, default=1, help="processes that prepare samples; default: %(default)s")
    add("--device", default="auto", help="default: a GPU where there is one")
    return parser


if __name__ == "__main__":
    main()
