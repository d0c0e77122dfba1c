"""A project with a run that has ended, whose detections are made up: actions are found, missed, taken for others."""

from pathlib import Path

import numpy as np

from convert.project import folders, run_folders, steps
from convert.project.folders import Project
from convert.project.run_folders import RunFolder
from tests.support.made_project import ACTIONS, FRAMES, change, make_project
from tests.support.tiny_videos import END, FIRST, SIZE, person
from train.evaluate import main as evaluate
from train.evaluation import detection_file
from train.evaluation.detection_file import SavedDetections

HELD_OUT = ("beach/Dunk_0", "beach/Surf_0", "yard/Dunk_0", "yard/Surf_0", "street_0/quiet")
RATE = 5.0  # frames a second: slow, so that the few frames of these videos last long enough for events
LOG = "samples,learning_rate,heatmap_loss,frame_map_50,Dunk,Surf\n8,0.001,2.5,,,\n16,0.001,1.5,40.0,30.0,50.0\n"
START_SCORE = 0.3  # of the first action


def finished_run(folder: Path) -> tuple[Project, RunFolder]:
    """Scored by `korsal-evaluate`, as a run does."""
    project = folders.read(make_project(folder, clips=1))
    held = ", ".join(f'"{name}"' for name in ("beach", "yard", "street_0"))
    change(folder, '# validation = ["kitchen", "hall_*"]', f"validation = [{held}]")
    project = folders.read(folder)
    options = {"samples": 32}
    made = run_folders.begin(project, run_folders.fingerprint(project, options), options)
    write_results(project, made)
    for name in ("train", "export", "detect", "choose", "score", "finish"):
        made = made.with_done(name)
    return project, made.with_all_done()


def write_results(project: Project, made: RunFolder) -> None:
    """What the steps of a run leave, but for the model."""
    (made.path / "train").mkdir()
    (made.path / "train" / "log.csv").write_text(LOG)
    (made.path / steps.START_SCORES).write_text(f'{{"start_scores": {{"{ACTIONS[0]}": {START_SCORE}}}}}')
    found, linked = made.path / steps.detections("validation"), made.path / "tubes.npz"
    detection_file.save(detections(), found)
    data = ("--data", str(project.folder), "--split", "validation")
    assert evaluate(["link", str(found), "-o", str(linked), "-q"]) == 0
    words = ["score", *data, "--detections", str(found), "--tubes", str(linked), "-q"]
    assert evaluate([*words, "--json", str(made.path / steps.SCORES)]) == 0


def detections() -> SavedDetections:
    """Of two actions in two scenes one is taken for the other, one is missed; in the street one seems to be."""
    spans = [(0, 0, 0.9), (1, 1, 0.8), (3, 0, 0.7), (4, 1, 0.6)]  # video, label, score
    rows = [(video, frame, label, score) for video, label, score in spans for frame in range(FIRST, END)]
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (person(frame) for _, frame, _, _ in rows)]
    scores, labels = np.array([row[3] for row in rows], np.float32), np.array([row[2] for row in rows], np.int64)
    dense = np.zeros((len(rows), len(ACTIONS)), np.float32)
    dense[np.arange(len(rows)), labels] = scores
    count = len(HELD_OUT)
    return SavedDetections(
        HELD_OUT,
        ACTIONS,
        np.full(count, FRAMES),
        np.tile(np.array(SIZE), (count, 1)),
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array(boxes, np.float32),
        scores,
        labels,
        dense,
        np.full(count, RATE),
    )
