"""Links saved detections into saved tubes, frame by frame as the daemon does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge import korsal_linker
from edge.boxes import clip
from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.korsal_linker import KorsalLinker, KorsalSettings
from edge.linker import Linker, initial
from edge.tubes import TubeBox
from train.box_tables import Tube
from train.evaluation.action_tubes import ActionTube, ActionTubes, Segmentation, WholePaths
from train.evaluation.detection_file import SavedDetections
from train.evaluation.tube_file import SavedTube, SavedTubes


@dataclass(frozen=True)
class LinkingMethod:
    """A linker, and how its tubes become action tubes."""

    linker: Linker
    action_tubes: ActionTubes


def korsal_method(settings: KorsalSettings) -> LinkingMethod:
    """A variant of KORSAL's rule, whose action tubes are its whole tubes."""
    return LinkingMethod(KorsalLinker(settings), WholePaths(gaps=settings.when_missed == "gap"))


LINKING_METHODS: Mapping[str, LinkingMethod] = {
    **{name: korsal_method(variant) for name, variant in korsal_linker.VARIANTS.items()},
    "default": LinkingMethod(DefaultLinker(), Segmentation()),
}


def link(found: SavedDetections, method: LinkingMethod, progress: Callable[[], object] = lambda: None) -> SavedTubes:
    """Link each video by itself; `progress` is called after each."""
    tubes: list[SavedTube] = []
    for video, size in enumerate(found.frame_sizes):
        live_tubes = tubes_by_frame(found, video, method.linker)
        history = [(frame, tube_box) for frame, live in enumerate(live_tubes) for tube_box in live]
        tubes += [_saved(tube, video, size) for tube in method.action_tubes(history, found.rate(video))]
        progress()
    return SavedTubes(found.video_names, found.label_names, tuple(tubes))


def tubes_by_frame(found: SavedDetections, video: int, linker: Linker) -> list[tuple[TubeBox, ...]]:
    """All live tubes in frame 0, 1, 2 … of one video, linked frame by frame in the time of its frame rate."""
    rate = found.rate(video)
    mine = np.flatnonzero(found.video == video)
    rows = mine[np.lexsort((-found.scores[mine], found.frames[mine]))]
    frames = max(int(found.frame_counts[video]), int(found.frames[rows].max(initial=-1)) + 1)
    bounds = np.searchsorted(found.frames[rows], np.arange(frames + 1))
    state = initial()
    live_tubes: list[tuple[TubeBox, ...]] = []
    for frame in range(frames):
        state, tube_boxes = linker.step(state, _in_frame(found, rows[bounds[frame] : bounds[frame + 1]]), frame / rate)
        live_tubes.append(tuple(tube_boxes))
    return live_tubes


def _in_frame(found: SavedDetections, rows: NDArray[np.int64]) -> Detections:
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
