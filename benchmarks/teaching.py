"""What the experiments of teaching share: projects of some scenes of a data set, runs, and their results as lines.

A result is a line of JSON. What is in the file is not run again, and a run that was interrupted goes on where it was,
so that the same command ends what it began. The test videos are only scored: nothing is chosen on them.
"""

import csv
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.project import folders, run, run_folders, steps
from convert.project.run import RunOptions
from edge import files, model_files
from edge.cameras.video_file import probe
from edge.default_linker import DefaultLinker
from train.datasets import actions_file, annotation_faults, own_data, project_data, split_lists
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.datasets.cvat_writer import Track, VideoFacts, as_xml
from train.evaluation import detection_file, start_scores
from train.evaluation.event_counts import total
from train.evaluation.event_metrics import count_events, settings_by_action, truth_by_video
from train.evaluation.splits import of_split

ALL = 0  # as a number of scenes
PARTS = ("training", "validation", "test", "quiet")


@dataclass(frozen=True)
class Selection:
    """The videos of a project, by their names in the data set: to learn from, to choose on, to test on, of nobody."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    quiet: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teaching:
    """How a project is taught. `frozen`: the backbone stays as it is; `start`: as actions.toml has it.

    `rate`: of learning, from weights that know actions; from ImageNet's it is that of korsal-train.
    """

    start: str
    samples: int
    seed: int
    frozen: bool = False
    rate: float = steps.LEARNING_RATE


class Results:
    """The file of results; each has what it was of, and its figures."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def has(self, of: Mapping[str, Any]) -> bool:
        """Whether there is one of exactly that."""
        return any(line["of"] == of for line in self.lines)

    def add(self, of: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        """Append it, on the disk before this returns."""
        line = {"of": dict(of), **figures}
        self.lines.append(line)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def print_means(self, names: Sequence[str]) -> None:
        """A row for each setting: mean and spread over the seeds of what was measured."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for line in self.lines:
            of = {key: value for key, value in line["of"].items() if key != "seed"}
            groups.setdefault(", ".join(f"{key} {value}" for key, value in of.items()), []).append(line)
        for title, group in groups.items():
            cells = [f"{name} {_mean([line.get(name) for line in group])}" for name in names]
            print(f"{title} ({len(group)} seeds): {'; '.join(cells)}")


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f} ± {np.std(known):.2f}" if known else "-"


def by_scene(data: DataSet, actions: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Of each action the videos that show it, in the data set's own training part, by their scenes."""
    scenes = dict(zip((video.name for video in data.train), split_lists.scene_names(data.train), strict=True))
    found: dict[str, dict[str, list[str]]] = {action: {} for action in actions}
    wanted = set(names)
    for video in data.train:
        for action in {data.labels[tube.label] for tube in video.tubes} & found.keys():
            if video.name in wanted:
                found[action].setdefault(scenes[video.name], []).append(video.name)
    return found


def make_project(folder: Path, data: DataSet, actions: Sequence[str], chosen: Selection, start: str) -> None:
    """Write a project of these videos, which are linked to, with the tubes of these actions alone."""
    videos = (*data.train, *data.test)
    by_name = {video.name: video for video in videos}
    scenes = dict(zip(by_name, split_lists.scene_names(videos), strict=True))
    for part in PARTS:
        for name in getattr(chosen, part):
            place = "/".join([part, *(one.replace("/", "-") for one in (scenes[name], name))])
            _add(folder, data, by_name[name], actions, place)
    lists = {part: [f"{part}/*"] for part in PARTS[1:] if getattr(chosen, part)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in lists.items()]
    given = json.dumps(list(actions), ensure_ascii=False)
    text = "\n".join([f"actions = {given}", f"start = {json.dumps(start)}", 'scenes = "folder"', *lines, ""])
    files.write_atomically(folder / actions_file.NAME, text.encode())


def _add(folder: Path, data: DataSet, video: VideoAnnotation, actions: Sequence[str], name: str) -> None:
    """Link to a video, and write what CVAT would export of it, each person once; nothing of a quiet one."""
    path = data.video(video.name)
    target = folder / project_data.VIDEOS / f"{name}{path.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():
        target.symlink_to(path.resolve())
    if name.startswith("quiet/"):
        return
    twice = {id(tube) for tube in annotation_faults.doubled(video)}  # a few videos of UCF101-24 have some
    shown = [tube for tube in video.tubes if data.labels[tube.label] in actions and id(tube) not in twice]
    tracks = [Track(one.first_frame, one.boxes, (data.labels[one.label],) * len(one.boxes)) for one in shown]
    info = probe(path)
    frames = max([video.frames, *(tube.end_frame for tube in shown)])
    xml = as_xml(VideoFacts(f"{name}{path.suffix}", frames, info.size), tracks, project_data.PERSON)
    annotation = folder / own_data.CVAT_FOLDER / f"{name}.xml"
    annotation.parent.mkdir(parents=True, exist_ok=True)
    annotation.write_text(xml, encoding="utf-8")


def taught(folder: Path, how: Teaching, more: Sequence[str]) -> dict[str, Any]:
    """Teach the project, or go on with that, and score it. SystemExit where a step fails.

    Its figures: frame-mAP at 0.5, percent, of the test videos, and `validation`, the best while it learned, of every so
    many frames of those held out; of the events at the chosen start scores recall and precision, percent, and false
    alarms per hour without an action; whether it has a memory; processor minutes.
    """
    begun = sum(os.times()[:4])
    project = folders.read(folder)
    words = (*more, *(("--backbone-rate", "0") if how.frozen else ()))
    words += ("--learning-rate", str(how.rate)) if how.rate != steps.LEARNING_RATE else ()
    if run.run(project, RunOptions(how.samples, how.seed, int8=False, silent=True, more=words)):
        raise SystemExit(f"{folder}: a step has failed, see above; the same command goes on")
    made = run_folders.all_runs(project)[-1].path
    scores = json.loads((made / steps.SCORES).read_text())
    figures = {"frame_map": scores["frame_map"]["0.5"], "validation": _best_while_learning(made)}
    figures |= {**_events(project.folder, made), "memory": _remembers(folder)}
    return {**figures, "minutes": (sum(os.times()[:4]) - begun) / 60, "how": asdict(how), "at": time.time()}


def _best_while_learning(made: Path) -> float:
    with (made / "train" / "log.csv").open(newline="", encoding="utf-8") as file:
        return max(float(row["frame_map_50"]) for row in csv.DictReader(file) if row["frame_map_50"])


def _events(folder: Path, made: Path) -> dict[str, float | None]:
    from train.datasets import loader

    data = loader.load(folder)
    found = detection_file.load(made / steps.detections("test"), dense=True)
    truth = truth_by_video(of_split(data, "test"), data.labels, found)
    rules = settings_by_action(start_scores.load(made / steps.START_SCORES))
    counts = total(count_events(found, truth, DefaultLinker(), [rules])[0])
    values = {
        "recall": 100 * counts.recall,
        "precision": 100 * counts.precision,
        "alarms_per_hour": counts.false_alarms_per_hour,
    }
    return {name: None if np.isnan(value) else float(value) for name, value in values.items()}


def _remembers(folder: Path) -> bool:
    made = model_files.read(newest_model(folder))
    return made is not None and made.manifest.memory is not None


def newest_model(folder: Path) -> Path:
    """The model of the project's newest run."""
    project = folders.read(folder)
    return run_folders.all_runs(project)[-1].path / f"{steps.file_name(project.name)}.onnx"
