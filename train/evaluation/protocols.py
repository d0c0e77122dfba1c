"""Pure. How predictions are counted against the ground truth: each choice in which published protocols differ, by name.

`PLAIN_RULES` are this project's own. The three presets are the arithmetic of the code that the field uses:

korsal  `get_PR_curve.m`, `compute_spatio_temporal_iou.m` and `frameAp.m` of KORSAL and of ROAD (Singh et al. 2017)
act     `ACT.py` and `ACT_utils.py` of ACT (Kalogeiton et al. 2017) and of MOC (Li et al. 2020)
yowo    Padilla's Object-Detection-Metrics for frames, `eval_results.py` for tubes, as YOWO (Köpüklü et al. 2019)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Rule = Literal["voc", "act"]
ScoredFrames = Literal["all", "annotated"]
Edges = tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxFilter:
    """Which boxes of one class in one frame count.

    Of those scoring more than `minimum_score` the best `before`, of these what NMS at `iou` leaves, of these the best
    `after`.
    """

    minimum_score: float
    before: int
    iou: float
    after: int


@dataclass(frozen=True)
class MatchingRules:
    """How boxes in frames, or tubes in videos, are matched with the ground truth.

    `predicted_edges`, `true_edges`: pixels added to x1 y1 x2 y2 before anything is compared; (0, 0, 1, 1) makes
    corners the middle of the last pixel ("+1" in widths and areas).
    `frame_size`: width and height whose last pixel no predicted corner may exceed, before edges are added.
    `more_than`: an overlap equal to the threshold is no hit.
    `common_frames`: two tubes that share fewer do not overlap.
    `free_only`: a prediction takes the best truth that is still free; else only the best of all, and if that one is
    taken the prediction is a false alarm.
    `boxes`: the filter of boxes. `tube_nms`: of two tubes of one class that overlap by more, the weaker is dropped.
    `zero_without_truth`: a class without ground truth has AP 0, which counts in the mean; else it has no AP.
    """

    predicted_edges: Edges = (0, 0, 0, 0)
    true_edges: Edges = (0, 0, 0, 0)
    frame_size: tuple[int, int] | None = None
    more_than: bool = False
    common_frames: int = 1
    free_only: bool = True
    boxes: BoxFilter | None = None
    tube_nms: float | None = None
    zero_without_truth: bool = False


PLAIN_RULES = MatchingRules()


@dataclass(frozen=True)
class Protocol:
    """How to count: the AP rule, which frames, and the score for precision and recall (None: each class's best F1).

    `name` is for reports; `in_frames` and `in_videos` say how boxes and tubes are matched.
    """

    rule: Rule = "voc"
    frames: ScoredFrames = "all"
    threshold: float | None = None
    name: str = "plain"
    in_frames: MatchingRules = field(default_factory=MatchingRules)
    in_videos: MatchingRules = field(default_factory=MatchingRules)


LAST_PIXEL = (0.0, 0.0, 1.0, 1.0)
NO_EDGES = (0.0, 0.0, 0.0, 0.0)

PROTOCOLS: Mapping[str, Protocol] = {
    "plain": Protocol(),
    "korsal": Protocol(
        name="korsal",
        in_frames=MatchingRules(
            predicted_edges=LAST_PIXEL,
            frame_size=(320, 240),
            boxes=BoxFilter(minimum_score=0.01, before=50, iou=0.45, after=20),
            zero_without_truth=True,
        ),
        # MATLAB's paths count pixels from 1, and the code adds 1 once more to all of x, y, width and height
        in_videos=MatchingRules(
            predicted_edges=(1.0, 1.0, 2.0, 2.0), more_than=True, common_frames=2, zero_without_truth=True
        ),
    ),
    "act": Protocol(
        rule="act",
        name="act",
        in_frames=MatchingRules(LAST_PIXEL, LAST_PIXEL),
        in_videos=MatchingRules(LAST_PIXEL, LAST_PIXEL, tube_nms=0.3),
    ),
    "yowo": Protocol(
        frames="annotated",
        name="yowo",
        in_frames=MatchingRules(LAST_PIXEL, LAST_PIXEL, free_only=False),
        in_videos=MatchingRules(LAST_PIXEL, LAST_PIXEL, common_frames=2, tube_nms=0.3, zero_without_truth=True),
    ),
}
