"""Saved detections → saved tubes, frame after frame as the daemon links them. Arithmetic on shells' records."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge import linker
from edge.boxes import clip
from edge.detector import Detections
from edge.linker import LinkerSettings
from edge.tubes import ActionTube, TubeBox
from train.detection_file import SavedDetections
from train.tables import Tube
from train.tube_file import SavedTube, SavedTubes


def link(found: SavedDetections, settings: LinkerSettings, progress: Callable[[], object] = lambda: None) -> SavedTubes:
    """Link each video for itself; `progress` is called after each."""
    order = np.lexsort((-found.scores, found.frames, found.video))
    bounds = np.searchsorted(found.video[order], np.arange(len(found.video_names) + 1))
    tubes: list[SavedTube] = []
    for video in range(len(found.video_names)):
        rows = order[bounds[video] : bounds[video + 1]]
        tubes += [_saved(tube, video, found.frame_sizes[video]) for tube in _linked(found, video, rows, settings)]
        progress()
    return SavedTubes(found.video_names, found.label_names, tuple(tubes))


def _linked(found: SavedDetections, video: int, rows: NDArray[np.int64], settings: LinkerSettings) -> list[ActionTube]:
    """The action tubes of one video, whose rows lie by frame, scores falling."""
    frames = max(int(found.frame_counts[video]), int(found.frames[rows].max(initial=-1)) + 1)
    bounds = np.searchsorted(found.frames[rows], np.arange(frames + 1))
    state = linker.initial()
    history: list[tuple[int, TubeBox]] = []
    for frame in range(frames):
        state, tube_boxes = linker.step(state, _seen(found, rows[bounds[frame] : bounds[frame + 1]]), frame, settings)
        history += [(frame, tube_box) for tube_box in tube_boxes]
    return linker.action_tubes(history, settings)


def _seen(found: SavedDetections, rows: NDArray[np.int64]) -> Detections:
    if found.class_scores is not None:
        dense = found.class_scores[rows]
    else:
        dense = np.zeros((len(rows), len(found.label_names)), np.float32)
        dense[np.arange(len(rows)), found.labels[rows]] = found.scores[rows]
    return Detections(found.boxes[rows], found.scores[rows], found.labels[rows], dense)


def _saved(tube: ActionTube, video: int, size: NDArray[np.int64]) -> SavedTube:
    """Extrapolated boxes may leave the frame; they are clipped where its size is known."""
    boxes = clip(tube.boxes, int(size[0]), int(size[1])) if size.all() else tube.boxes
    return SavedTube(Tube(video, tube.label, tube.score, int(tube.frames[0]), boxes), tube.scores)
