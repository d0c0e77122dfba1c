"""Shell. One annotated video through the daemon's pipeline: its predictions beside its ground truth."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.boxes import clip
from edge.cameras.video_file import probe
from edge.detector import MIN_SCORE, Detections
from edge.inference import Engine
from edge.pipeline import PipelineSettings
from edge.text import to_nfc
from edge.tiles import Tiling
from edge.tubes import TubeBox
from train.box_tables import FrameBoxes, Tube, joined
from train.datasets.annotated_frames import AnnotatedFrames, rows_in, tubes_in
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.evaluation.action_lengths import ActionLengths, with_lengths
from train.evaluation.action_tubes import ActionTube
from train.evaluation.linking import LINKING_METHODS
from train.evaluation.report import VideoResult
from train.evaluation.video_pipeline import append_detections, run_video

WHOLE_FRAME = Tiling()
LinkerKind = Literal["default", "korsal"]


def evaluate_video(
    annotation: VideoAnnotation,
    video: Path,
    engine: Engine,
    labels: Sequence[str],
    kind: LinkerKind,
    lengths: ActionLengths = MappingProxyType({}),
    tiling: Tiling = WHOLE_FRAME,
    rate: float | None = None,
) -> VideoResult:
    """Run the pipeline over `video` to its last annotated frame; labels that the data lacks are left out.

    Frames do not count that only the file or only the annotation has, that cannot be decoded, or that are not
    annotated. `rate`: frames per second, whatever the file says; None: the file's. Raises CaptureError.
    """
    method = with_lengths(LINKING_METHODS[kind], lengths, engine.manifest.labels)
    settings = PipelineSettings(method.linker, tiling=tiling)
    found: list[Detections] = []
    decoded: list[int] = []
    history: list[tuple[int, TubeBox]] = []
    size = (0, 0)
    for frame, result, state in run_video(annotation, video, engine, settings, rate):
        append_detections(found, frame.index, result.detections)
        decoded.append(frame.index)
        history += [(frame.index, tube_box) for tube_box in result.tube_boxes]
        size = state.frame_size
    tubes = method.action_tubes(history, rate or probe(video).fps)
    indices = label_indices(engine.manifest.labels, labels)
    everything = VideoResult(
        _boxes(found, indices),
        linked_boxes(history, indices),
        true_boxes(annotation.tubes, len(found)),
        tuple(_tube(tube, indices, size) for tube in tubes if indices[tube.label] >= 0),
        true_tubes(annotation.tubes, len(found)),
        sum(one.invalid for one in found),
    )
    return in_annotated_frames(everything, _decoded(annotation.annotated_frames, decoded))


def _decoded(annotated: AnnotatedFrames, indices: Sequence[int]) -> AnnotatedFrames:
    """Of the annotated frames those that could be decoded."""
    if not indices or len(indices) == indices[-1] + 1:
        return annotated
    decoded = np.array(indices, np.int64)
    return decoded if annotated is None else annotated[np.isin(annotated, decoded)]


def in_annotated_frames(everything: VideoResult, annotated: AnnotatedFrames) -> VideoResult:
    """What was found and is true in the annotated frames; see `train.datasets.annotated_frames`."""
    return VideoResult(
        rows_in(everything.found, annotated),
        rows_in(everything.linked, annotated),
        rows_in(everything.truth, annotated),
        tubes_in(everything.tubes, annotated),
        tubes_in(everything.true_tubes, annotated),
        everything.invalid,
    )


def label_indices(of_model: Sequence[str], of_data: Sequence[str]) -> NDArray[np.int64]:
    """For each label of the model its number in the data, -1 where the data has no such action."""
    names = map(to_nfc, of_model)  # those of the data already are NFC
    return np.array([of_data.index(label) if label in of_data else -1 for label in names], dtype=np.int64)


def true_boxes(tubes: Sequence[GroundTruthTube], frames: int) -> FrameBoxes:
    """The ground truth of the first `frames` frames as a flat table."""
    return joined([_rows_of(tube) for tube in true_tubes(tubes, frames)])


def true_tubes(tubes: Sequence[GroundTruthTube], frames: int) -> tuple[Tube, ...]:
    """The ground-truth tubes, cut off after the first `frames` frames."""
    return tuple(
        Tube(0, tube.label, 1.0, tube.first_frame, tube.boxes[: frames - tube.first_frame])
        for tube in tubes
        if tube.first_frame < frames
    )


def _rows_of(tube: Tube) -> FrameBoxes:
    count = len(tube.boxes)
    numbers = np.arange(tube.first_frame, tube.first_frame + count, dtype=np.int64)
    return FrameBoxes(numbers, np.full(count, tube.label, np.int64), tube.boxes, np.ones(count, np.float32))


def _boxes(found: Sequence[Detections], indices: NDArray[np.int64]) -> FrameBoxes:
    """The detections of frames 0, 1, 2, … of labels of the data, without weak ones that only a linker needs."""
    table = joined(
        [
            FrameBoxes(np.full(len(one.scores), frame, np.int64), indices[one.labels], one.boxes, one.scores)
            for frame, one in enumerate(found)
        ]
    )
    return table.where((table.labels >= 0) & (table.scores >= MIN_SCORE))


def linked_boxes(history: Sequence[tuple[int, TubeBox]], indices: NDArray[np.int64]) -> FrameBoxes:
    """Every live tube in every frame, extrapolated or not, once for each label that the data has."""
    tables = []
    for frame, tube_box in history:
        known = np.flatnonzero((indices >= 0) & (tube_box.class_scores >= MIN_SCORE))
        count = len(known)
        boxes = np.repeat(tube_box.box[None], count, axis=0)
        tables.append(FrameBoxes(np.full(count, frame, np.int64), indices[known], boxes, tube_box.class_scores[known]))
    return joined(tables)


def _tube(tube: ActionTube, indices: NDArray[np.int64], frame_size: tuple[int, int]) -> Tube:
    """Clipped, as extrapolated boxes may leave the frame; a frame that cannot be decoded repeats the box before it."""
    first, last = int(tube.frames[0]), int(tube.frames[-1])
    boxes = tube.boxes[np.searchsorted(tube.frames, np.arange(first, last + 1), "right") - 1]
    return Tube(0, int(indices[tube.label]), tube.score, first, clip(boxes, *frame_size))
