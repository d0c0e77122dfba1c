"""Action tubes: what is cut out of the recorded tubes of a whole video, for saved tubes and video-mAP. Pure.

The daemon needs none of this: it decides in every frame whether an event continues (`edge/events.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.korsal_linker import MAX_MISSED
from edge.linker import UNIT
from edge.motion_gap import REFERENCE_RATE
from edge.tubes import TubeBox
from train.evaluation.box_smoothing import BoxSmoothing
from train.evaluation.temporal_segmentation import runs, semi_markov_segments, viterbi_mask

SEGMENT_EVERY = 0.48  # seconds; how often a tube is segmented while it is followed

FrameTubeBox = tuple[int, TubeBox]  # frame number, box


@dataclass(frozen=True, eq=False)
class ActionTube:
    """One action of one person from its first frame to its last."""

    label: int
    frames: NDArray[np.int64]  # (n,), rising
    boxes: NDArray[np.float32]  # (n, 4), x1 y1 x2 y2, pixels of the source frame
    scores: NDArray[np.float32]  # (n,), of this action
    score: float  # mean of the best, lower where its length is unusual


class ActionTubes(Protocol):
    """How a linker's tubes become action tubes."""

    def __call__(self, history: Iterable[FrameTubeBox], rate: float = REFERENCE_RATE) -> list[ActionTube]:
        """The action tubes in the record of a whole video of `rate` frames per second, frames rising."""
        ...


@dataclass(frozen=True)
class TypicalLength:
    """How long an action typically lasts: the median in seconds, and the deviation of its natural logarithm."""

    median: float
    spread: float

    def deviation(self, seconds: NDArray[np.floating] | float, life: float) -> Any:
        """How many spreads so many seconds are too long or too short, in a tube of `life` seconds.

        In a tube that is shorter than the median, its own length is typical.
        """
        return np.log(np.asarray(seconds) / min(self.median, life)) / self.spread


@dataclass(frozen=True)
class Segmentation:
    """Cuts each tube where an action of its person starts and ends, using only what was known by then.

    A person's usual level in an action is the `level` quantile of the logits of the averaged scores. A frame's evidence
    for the action is its own score's logit above that level, plus what scores vary by anyway: `noise_factor` times the
    frame-to-frame deviation and `min_noise` (joined as the root of the sum of squares). `max_evidence` limits it either
    way; a frame without a detection has none; each counts by the time that it stands for, as 1 for 1/25 s. Of all ways
    to divide a tube into segments with and without the action, the one with the most evidence inside is taken, where
    each change costs `change_cost` (Viterbi with two states).
    `lengths`: of the actions by label; None where nothing is known. A segment that deviates by n spreads costs half of
    `length_weight` times n², and its score is multiplied by exp(−`length_penalty` n²).
    A segment is final once it ended more than `delay` seconds ago or its tube has ended; from then on only what follows
    is segmented. Never more than `memory` seconds are looked back on; whether the frame before them is inside or
    outside is taken from the segmentation before.
    `min_score`: a segment in which the average never reaches it is dropped. `trim`: leave out extrapolated boxes at
    both ends. `shortest`: what is shorter is dropped. `best`: a tube's score is the mean of the highest scores of so
    many seconds. `smoothing`: of the boxes of a segment, by those before and after in it.
    """

    min_score: float = 0.02
    level: float = 0.8
    noise_factor: float = 2.0
    min_noise: float = 0.3  # of a logit
    max_evidence: float = 2.0
    change_cost: float = 10.0
    lengths: tuple[TypicalLength | None, ...] = ()
    length_weight: float = 6.0
    length_penalty: float = 0.1
    delay: float = 2.0
    memory: float = 60.0
    trim: bool = True
    shortest: float = 0.24
    best: float = 3.2
    smoothing: BoxSmoothing = BoxSmoothing()

    def typical(self, label: int) -> TypicalLength | None:
        """How long an action typically lasts, where that is known."""
        return self.lengths[label] if label < len(self.lengths) else None

    def __call__(self, history: Iterable[FrameTubeBox], rate: float = REFERENCE_RATE) -> list[ActionTube]:
        """All action tubes in a record of one video, frames rising; of one tube by label, then in time.

        A person who does two things at once gives two action tubes, one for each action.
        """
        return [action for record in by_tube(history) for action in _actions(record, _AtRate(self, rate))]


@dataclass(frozen=True)
class _AtRate:
    """A segmentation of videos of so many frames per second."""

    settings: Segmentation
    rate: float

    def frames(self, seconds: float) -> int:
        """How many frames are nearest to so many seconds."""
        return round(seconds * self.rate)


@dataclass(frozen=True)
class WholePaths:
    """KORSAL's rule: all tubes of more than 5 boxes, extrapolated tails included.

    `gaps`: only detected boxes count, and those after the last of them are left out, as in ROAD. A path's score is the
    mean of its `best` highest, as `convert2eval.m` has it where its labelling trims nothing. Both counts of frames are
    for 25 a second.
    """

    gaps: bool = False
    best: int = 40

    def __call__(self, history: Iterable[FrameTubeBox], rate: float = REFERENCE_RATE) -> list[ActionTube]:
        """The paths in a record of one video, frames rising."""
        paths = []
        most, best = (max(1, round(frames * UNIT * rate)) for frames in (MAX_MISSED, self.best))
        for record in by_tube(history):
            counted = [i for i, (_, tube_box) in enumerate(record) if tube_box.observed or not self.gaps]
            if len(counted) > most:
                paths.append(whole_tube(record[: counted[-1] + 1], record[0][1].label, best))
        return paths


def by_tube(history: Iterable[FrameTubeBox]) -> list[list[FrameTubeBox]]:
    """The record of each tube by itself, in the order in which they start."""
    records: defaultdict[int, list[FrameTubeBox]] = defaultdict(list)
    for frame, tube_box in history:
        records[tube_box.tube].append((frame, tube_box))
    return list(records.values())


def whole_tube(record: Sequence[FrameTubeBox], label: int, best: int) -> ActionTube:
    """A tube's whole record as one action tube, scored by the mean of its `best` highest scores."""
    scores = np.array([tube_box.score for _, tube_box in record], np.float32)
    frames = np.array([frame for frame, _ in record], np.int64)
    boxes = np.stack([tube_box.box for _, tube_box in record])
    return ActionTube(label, frames, boxes, scores, mean_of_best(scores, best))


def mean_of_best(scores: Sequence[float] | NDArray[np.float32], count: int) -> float:
    """The mean of the `count` highest scores, of all if there are fewer; of none, 0."""
    best = np.sort(np.asarray(scores, np.float64))[::-1][:count]
    return float(best.mean()) if len(best) else 0.0


@dataclass(frozen=True, eq=False)
class _Scores:
    """Those of one action in a tube, or in some frames of it."""

    averaged: NDArray[np.float32]  # (n,), over the frames so far
    own: NDArray[np.float32]  # (n,), of each frame's detection alone
    observed: NDArray[np.bool_]  # (n,)

    def between(self, start: int, end: int) -> "_Scores":
        return _Scores(self.averaged[start:end], self.own[start:end], self.observed[start:end])


def _actions(record: Sequence[FrameTubeBox], timed: _AtRate) -> list[ActionTube]:
    """The action tubes in the record of one tube."""
    frames = np.array([frame for frame, _ in record], np.int64)
    boxes = np.stack([tube_box.box for _, tube_box in record])
    class_scores = np.stack([tube_box.class_scores for _, tube_box in record])  # (n, classes)
    own_scores = np.stack([tube_box.frame_scores for _, tube_box in record])
    observed = np.array([tube_box.observed for _, tube_box in record])
    actions = []
    for label, scores in enumerate(class_scores.T):
        for start, end, known in _final_segments(_Scores(scores, own_scores[:, label], observed), label, timed):
            part = _trimmed(start, end, observed) if timed.settings.trim else slice(start, end)
            if part.stop - part.start >= max(1, timed.frames(timed.settings.shortest)):
                best = mean_of_best(scores[part], max(1, timed.frames(timed.settings.best)))
                score = best * _plausibility(end - start, known, label, timed)
                smoothed = timed.settings.smoothing(boxes[part], timed.rate)
                actions.append(ActionTube(label, frames[part], smoothed, scores[part], score))
    return actions


def _final_segments(tube: _Scores, label: int, timed: _AtRate) -> list[tuple[int, int, int]]:
    """(start, end, known) of each segment with the action once it is final.

    `end` is one beyond the last frame, `known` how many frames were segmented then.
    """
    settings = timed.settings
    if tube.averaged.max() < settings.min_score:
        return []
    final: list[tuple[int, int, int]] = []
    segments: list[tuple[int, int]] = []
    free = 0  # the first frame after all final segments
    over, every = len(tube.observed), max(1, timed.frames(SEGMENT_EVERY))
    delay, memory = timed.frames(settings.delay), max(1, timed.frames(settings.memory))
    for now in (*range(every, over, every), over):
        past = now if now == over else now - delay - 1  # a segment that ends at `now` may continue
        if past <= free:
            continue
        remembered = max(0, now - memory)
        since = max(remembered, free)
        evidence = _evidence(tube.between(remembered, now), timed)[since - remembered :]
        open_starts = [start for start, end in segments if free <= start < since <= end]
        initial_cost = (-settings.change_cost if open_starts else settings.change_cost) if since > 0 else 0.0
        found = [(since + start, since + end) for start, end in _segments(evidence, initial_cost, label, timed)]
        if open_starts:
            end = found.pop(0)[1] if found and found[0][0] == since else since
            found.insert(0, (open_starts[0], end))
        segments = [(start, end) for start, end in found if tube.averaged[start:end].max() >= settings.min_score]
        final += [(start, end, now - since) for start, end in segments if end <= past]
        free = final[-1][1] if final else 0
    return final


def _segments(evidence: NDArray[np.float64], initial_cost: float, label: int, timed: _AtRate) -> list[tuple[int, int]]:
    """(start, end) of the segments with the action, `end` one beyond the last."""
    settings = timed.settings
    typical = settings.typical(label)
    found = []
    if typical is not None:
        seconds = np.arange(1, len(evidence) + 1) / timed.rate
        costs = settings.length_weight / 2 * typical.deviation(seconds, len(evidence) / timed.rate) ** 2
        found = semi_markov_segments(evidence, settings.change_cost, costs, initial_cost)
    # rather a segment of unusual length than none
    return found or runs(viterbi_mask(evidence.tolist(), settings.change_cost, initial_cost))


def _plausibility(frames: int, life: int, label: int, timed: _AtRate) -> float:
    """A factor 0..1 for a tube's score, by how typical its length is."""
    typical = timed.settings.typical(label)
    if typical is None:
        return 1.0
    deviation = typical.deviation(frames / timed.rate, life / timed.rate)
    return float(np.exp(-timed.settings.length_penalty * deviation**2))


def _evidence(scores: _Scores, timed: _AtRate) -> NDArray[np.float64]:
    """(n,) each frame's evidence for the action, negative against it, by the UNITs that it stands for."""
    settings = timed.settings
    observed = scores.observed
    evidence = np.zeros(len(observed))
    if observed.any():
        usual = np.quantile(_logit(scores.averaged[observed]), settings.level)
        own = _logit(scores.own[observed])
        gain = own - usual + settings.noise_factor * np.hypot(_noise(own), settings.min_noise)
        evidence[observed] = np.clip(gain, -settings.max_evidence, settings.max_evidence)
    return evidence * (REFERENCE_RATE / timed.rate)


def _noise(logits: NDArray[np.float64]) -> float:
    """The deviation of what changes from frame to frame; half a logit for fewer than 4 frames."""
    return float(np.std(np.diff(logits))) / 2**0.5 if len(logits) >= 4 else 0.5


def _logit(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """log(p / (1 − p)) of scores 0..1, clipped near the ends."""
    kept = np.clip(scores.astype(np.float64), 0.002, 0.998)
    return np.log(kept / (1 - kept))


def _trimmed(start: int, end: int, observed: NDArray[np.bool_]) -> slice:
    """The segment without the extrapolated boxes at its ends; empty if it has no others."""
    detected = start + np.flatnonzero(observed[start:end])
    return slice(int(detected[0]), int(detected[-1]) + 1) if len(detected) else slice(start, start)
