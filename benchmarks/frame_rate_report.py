"""Tables and curves of `benchmarks.frame_rate`: frame-mAP and events by rate, linker and way of counting."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge.default_linker import DefaultLinker
from edge.detector import MIN_SCORE, Detections
from edge.korsal_linker import KorsalLinker
from edge.linker import UNIT, Linker, LinkerState
from edge.tubes import TubeBox
from train.box_tables import FrameBoxes, in_video, joined
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_counts import EventCounts, total
from train.evaluation.event_metrics import count_events, settings_by_action, truth_by_video
from train.evaluation.metrics import average_precision, frame_curves, mean_with_truth
from train.evaluation.video_evaluation import true_boxes

Counting = Literal["frames", "seconds"]
COUNTINGS: tuple[Counting, ...] = get_args(Counting)
LINKERS: Mapping[str, Linker] = {"default": DefaultLinker(), "korsal": KorsalLinker()}
GROUPS = {"about 25 frames a second": (24.0, 26.0), "about 30 frames a second": (29.0, 31.0)}


@dataclass(frozen=True, eq=False)
class Thinned:
    """One video at one rate: which of its frames were used, and what was found in them.

    `own`: frames per second of the video itself; `found` has the rate at which its frames came.
    """

    video: VideoAnnotation
    frames: NDArray[np.int64]
    own: float
    found: SavedDetections


ByRate = Mapping[tuple[float, Counting], Thinned]


@dataclass(frozen=True)
class CountingFrames:
    """A linker to which each frame seems to come 1/25 s after the last, as linkers counted until 2026-11-29."""

    linker: Linker

    @property
    def minimum_score(self) -> float:
        """As `Linker.minimum_score`."""
        return self.linker.minimum_score

    def step(self, state: LinkerState, detections: Detections, time: float) -> tuple[LinkerState, tuple[TubeBox, ...]]:
        """As `Linker.step`, whatever the time is."""
        return self.linker.step(state, detections, 0.0 if state.time is None else state.time + UNIT)


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    rate: float
    counting: Counting
    linker: str
    frame_map: float
    events: EventCounts

    def __str__(self) -> str:
        counted = self.events
        return (
            f"{self.rate:5g} fps, counting {self.counting:7}, {self.linker:7}: frame-mAP {100 * self.frame_map:.1f}, "
            f"recall {100 * counted.recall:.1f} % of {counted.actions}, delay {counted.delay:.2f} s, "
            f"precision {100 * counted.precision:.1f} % of {counted.events}, {counted.false_alarms} alarms, "
            f"{counted.false_alarms_per_hour:.0f}/h"
        )


def in_groups(videos: Sequence[VideoAnnotation], thinned: Sequence[ByRate]) -> Iterator[tuple[str, Sequence[ByRate]]]:
    """All videos, and those of each usual rate by themselves, with names that say how many there are."""
    yield f"all {len(videos)} videos", thinned
    for name, (least, most) in GROUPS.items():
        chosen = [one for one in thinned if least <= next(iter(one.values())).own <= most]
        if chosen and len(chosen) < len(thinned):
            yield f"{len(chosen)} videos of {name}", chosen


def report(
    rates: Sequence[float], videos: Sequence[ByRate], labels: Sequence[str], events: "EventCounter"
) -> list[Row]:
    """A row for each rate, counting and linker; `labels` are those of the data."""
    rows = []
    for rate in rates:
        for counting in COUNTINGS:
            chosen = [one[rate, counting] for one in videos]
            precise = frame_map(chosen, [one[rates[-1], counting].frames for one in videos], labels)
            for name in LINKERS:
                counts = [events(one, counting, name) for one in chosen]
                counted = total([sum(column, EventCounts()) for column in zip(*counts, strict=True)])
                rows.append(Row(rate, counting, name, precise, counted))
    return rows


@dataclass(frozen=True)
class EventCounter:
    """Counts the events of a video for each label; those of the same detections once. `labels`: of the data."""

    start_scores: Mapping[str, float]
    labels: Sequence[str]
    _known: dict[tuple[int, Counting, str], Sequence[EventCounts]] = field(default_factory=dict)

    def __call__(self, one: Thinned, counting: Counting, name: str) -> Sequence[EventCounts]:
        """The counts with the linker of that name."""
        key = (id(one.found), counting, name)
        if key not in self._known:
            linker = LINKERS[name] if counting == "seconds" else CountingFrames(LINKERS[name])
            truth = truth_by_video([in_frames(one.video, one.frames)], self.labels, one.found)
            rules = [settings_by_action(self.start_scores)]
            (self._known[key],) = count_events(one.found, truth, linker, rules)
        return self._known[key]


def frame_map(videos: Sequence[Thinned], compared: Sequence[NDArray[np.int64]], labels: Sequence[str]) -> float:
    """Frame-mAP at 0.5, over those frames of each video that are `compared`, 0..1."""
    predicted, true = [], []
    for number, (one, frames) in enumerate(zip(videos, compared, strict=True)):
        found = one.found.table({one.video.name: len(one.frames)}, labels)
        found = found.where(found.scores >= MIN_SCORE)
        used = one.frames[found.frames]
        found = replace(found, frames=np.searchsorted(frames, used)).where(np.isin(used, frames))
        predicted.append(_of_video(number, found))
        true.append(_of_video(number, true_boxes(in_frames(one.video, frames).tubes, len(frames))))
    curves = frame_curves(joined(predicted), joined(true), len(labels))
    return mean_with_truth([average_precision(one, "voc") for one in curves])


def _of_video(number: int, table: FrameBoxes) -> FrameBoxes:
    return replace(table, frames=in_video(np.int64(number), table.frames))


def in_frames(video: VideoAnnotation, frames: NDArray[np.int64]) -> VideoAnnotation:
    """The annotation of those frames, renumbered from 0."""
    tubes = [_tube(tube, frames) for tube in video.tubes]
    annotated = None
    if video.annotated_frames is not None:
        annotated = np.flatnonzero(np.isin(frames, video.annotated_frames))
    return replace(
        video, frames=len(frames), tubes=tuple(one for one in tubes if len(one.boxes)), annotated_frames=annotated
    )


def _tube(tube: GroundTruthTube, frames: NDArray[np.int64]) -> GroundTruthTube:
    inside = np.flatnonzero((frames >= tube.first_frame) & (frames < tube.end_frame))
    first = int(inside[0]) if len(inside) else 0
    return replace(tube, first_frame=first, boxes=tube.boxes[frames[inside] - tube.first_frame])


def draw(rows: Sequence[Row], png_path: Path) -> None:
    """Frame-mAP, recall and precision over the rate, each way of counting and each linker a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    for counting, mark in zip(COUNTINGS, ("--", "-"), strict=True):
        for linker, colour in zip(LINKERS, ("tab:blue", "tab:orange"), strict=True):
            chosen = [row for row in rows if (row.counting, row.linker) == (counting, linker)]
            rates = [row.rate for row in chosen]
            values = [[row.events.recall for row in chosen], [row.events.precision for row in chosen]]
            for panel, of_events in zip(panels[1:], values, strict=True):
                label = f"{linker}, counting {counting}"
                panel.plot(rates, 100 * np.array(of_events), f"o{mark}", color=colour, markersize=4, label=label)
        precise = [100 * row.frame_map for row in chosen]
        panels[0].plot(rates, precise, f"o{mark}", color="black", markersize=4, label=f"counting {counting}")
    for panel, title in zip(panels, ("frame-mAP at 0.5", "recall of actions", "precision of events"), strict=True):
        panel.set(title=title, xlabel="frames per second, at most", ylabel="percent")
        panel.grid(alpha=0.3)
    for panel in panels[:2]:  # the third has the second's lines
        panel.legend(fontsize="small")
    figure.savefig(png_path, dpi=120)
