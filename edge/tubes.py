"""Tubes: where one live tube is in one frame, and the action tubes that are cut out of such a record. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOK_EVERY = 12  # frames; how often one who follows a life looks for actions that ended


@dataclass(frozen=True, eq=False)
class TubeBox:
    """Where one live tube is in one frame.

    `label` is the action that scores highest and `score` its score. Not `observed`: no detection supports the box in
    this frame, it is extrapolated and may leave the frame.
    """

    tube: int
    label: int
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float  # 0..1
    class_scores: NDArray[np.float32]  # (classes,), 0..1, averaged over time where the linker does so
    observed: bool
    of_frame: NDArray[np.float32] | None = None  # (classes,), 0..1, of this frame's detection alone; None: class_scores

    @property
    def frame_scores(self) -> NDArray[np.float32]:
        """What this frame's detection alone scores."""
        return self.class_scores if self.of_frame is None else self.of_frame


@dataclass(frozen=True, eq=False)
class ActionTube:
    """One action of one person from its first frame to its last."""

    label: int
    frames: NDArray[np.int64]  # (n,), rising
    boxes: NDArray[np.float32]  # (n, 4), x1 y1 x2 y2, pixels of the source frame
    scores: NDArray[np.float32]  # (n,), of this action
    score: float  # mean of the best, less where its length is unusual


@dataclass(frozen=True)
class UsualLength:
    """How long an action lasts as a rule: the median in frames, and the standard deviation of its natural logarithm."""

    median: float
    spread: float

    def off(self, frames: NDArray[np.integer] | int, life: int) -> Any:
        """How many spreads so many frames are too long, or too short, in a life of `life` frames: in one that is
        shorter than the median, its own length is usual."""
        return np.log(np.asarray(frames) / min(self.median, life)) / self.spread


@dataclass(frozen=True)
class CutSettings:
    """Where an action tube begins and ends within the life of a tube, judged by that life alone as far as it has come.

    A person's usual level in an action is the `level`-quantile of the smoothed scores' logits. A frame speaks for the
    action by what its own score's logit is above that level less what scores vary by anyway: `fall` times the
    deviation of one frame from the next and `least_noise` (joined as the root of the sum of squares). It says `most`
    at most, either way; one without a detection says nothing. Of all ways to divide the life into parts with and
    without the action the one with the most evidence inside is taken, where each change costs `price` (Viterbi with
    two states).
    `lengths`: of the actions by label; None where nothing is known. A part that is longer or shorter than usual by n
    spreads costs half of `trust` times n², and its score is multiplied by exp(−`doubt` n²).
    A part is told, and stands, once it ended more than `wait` frames ago or its person is gone: whoever follows them
    knows no more by then. From then on only what follows is divided. Never more than `memory` frames are looked back
    on; whether the one before them is inside or outside is taken over from the look before.
    `least_score`: a part in which the average never reaches it is none. `trim`: leave out extrapolated boxes at both
    ends. `min_boxes`: shorter ones are dropped. `best`: the tube's score is the mean of that many highest scores.
    """

    least_score: float = 0.1
    level: float = 0.8
    fall: float = 1.5
    least_noise: float = 0.3  # of a logit
    most: float = 2.0
    price: float = 10.0
    lengths: tuple[UsualLength | None, ...] = ()
    trust: float = 6.0
    doubt: float = 0.1
    wait: int = 50
    memory: int = 1500
    trim: bool = True
    min_boxes: int = 6
    best: int = 80

    def usual(self, label: int) -> UsualLength | None:
        """How long an action lasts as a rule, where that is known."""
        return self.lengths[label] if label < len(self.lengths) else None


Sighting = tuple[int, TubeBox]  # frame number, box


def cut(history: Iterable[Sighting], settings: CutSettings) -> list[ActionTube]:
    """All action tubes in a record of one video, frames rising; of one tube first by label, then in time.

    A person who does two things at once gives two tubes, one for each action.
    """
    lives: defaultdict[int, list[Sighting]] = defaultdict(list)
    for frame, tube_box in history:
        lives[tube_box.tube].append((frame, tube_box))
    return [action for life in lives.values() for action in _actions(life, settings)]


def _actions(life: Sequence[Sighting], settings: CutSettings) -> list[ActionTube]:
    """The action tubes in the life of one tube."""
    frames = np.array([frame for frame, _ in life], np.int64)
    boxes = np.stack([tube_box.box for _, tube_box in life])
    class_scores = np.stack([tube_box.class_scores for _, tube_box in life])  # (n, classes)
    frame_scores = np.stack([tube_box.frame_scores for _, tube_box in life])
    observed = np.array([tube_box.observed for _, tube_box in life])
    actions = []
    for label, scores in enumerate(class_scores.T):
        for begin, end, known in _told(_Scores(scores, frame_scores[:, label], observed), label, settings):
            part = _trimmed(begin, end, observed) if settings.trim else slice(begin, end)
            if part.stop - part.start >= settings.min_boxes:
                score = mean_of_best(scores[part], settings.best) * _likely(end - begin, known, label, settings)
                actions.append(ActionTube(label, frames[part], boxes[part], scores[part], score))
    return actions


@dataclass(frozen=True, eq=False)
class _Scores:
    """Those of one action in the life of one tube, or in some frames of it."""

    averaged: NDArray[np.float32]  # (n,), over the frames so far
    of_frame: NDArray[np.float32]  # (n,)
    observed: NDArray[np.bool_]  # (n,)

    def between(self, begin: int, end: int) -> "_Scores":
        return _Scores(self.averaged[begin:end], self.of_frame[begin:end], self.observed[begin:end])


def _told(life: _Scores, label: int, settings: CutSettings) -> list[tuple[int, int, int]]:
    """(begin, end, known) of the parts of a life with the action as they are told: `end` is one beyond the last frame,
    `known` how many frames were divided then."""
    if life.averaged.max() < settings.least_score:
        return []
    told: list[tuple[int, int, int]] = []
    parts: list[tuple[int, int]] = []
    free = 0  # the first frame after all that was told
    over = len(life.observed)
    for now in (*range(LOOK_EVERY, over, LOOK_EVERY), over):
        past = now if now == over else now - settings.wait - 1  # a part that ends at `now` goes on
        if past <= free:
            continue
        remembered = max(0, now - settings.memory)
        since = max(remembered, free)
        evidence = _evidence(life.between(remembered, now), settings)[since - remembered :]
        going_on = [begin for begin, end in parts if free <= begin < since <= end]
        at_first = (-settings.price if going_on else settings.price) if since > 0 else 0.0
        found = [(since + begin, since + end) for begin, end in _parts(evidence, at_first, label, settings)]
        if going_on:
            end = found.pop(0)[1] if found and found[0][0] == since else since
            found.insert(0, (going_on[0], end))
        parts = [(begin, end) for begin, end in found if life.averaged[begin:end].max() >= settings.least_score]
        told += [(begin, end, now - since) for begin, end in parts if end <= past]
        free = told[-1][1] if told else 0
    return told


def _parts(evidence: NDArray[np.float64], at_first: float, label: int, settings: CutSettings) -> list[tuple[int, int]]:
    """(begin, end) of the parts with the action, `end` one beyond the last."""
    usual = settings.usual(label)
    found = []
    if usual is not None:
        frames = np.arange(1, len(evidence) + 1)
        costs = settings.trust / 2 * usual.off(frames, len(evidence)) ** 2
        found = stretches(evidence, settings.price, costs, at_first)
    return found or runs(inside(evidence.tolist(), settings.price, at_first))  # of unusual length rather than none


def _likely(frames: int, life: int, label: int, settings: CutSettings) -> float:
    """What a tube's score is worth, 0..1, by how usual its length is."""
    usual = settings.usual(label)
    return 1.0 if usual is None else float(np.exp(-settings.doubt * usual.off(frames, life) ** 2))


def _evidence(scores: _Scores, settings: CutSettings) -> NDArray[np.float64]:
    """(n,) what each frame says for the action, and below 0 against it."""
    seen = scores.observed
    evidence = np.zeros(len(seen))
    if seen.any():
        usual = np.quantile(_logit(scores.averaged[seen]), settings.level)
        own = _logit(scores.of_frame[seen])
        gain = own - usual + settings.fall * np.hypot(_noise(own), settings.least_noise)
        evidence[seen] = np.clip(gain, -settings.most, settings.most)
    return evidence


def _noise(logits: NDArray[np.float64]) -> float:
    """The deviation of what changes from frame to frame, not of what lasts; of fewer than 4 frames half a logit."""
    return float(np.std(np.diff(logits))) / 2**0.5 if len(logits) >= 4 else 0.5


def _logit(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """log(p / (1 − p)) of scores 0..1, of those near the ends of what is near them."""
    kept = np.clip(scores.astype(np.float64), 0.002, 0.998)
    return np.log(kept / (1 - kept))


def inside(evidence: Iterable[float], price: float, at_first: float = 0.0) -> list[bool]:
    """The frames to choose so that the evidence in them, less `price` for every beginning and end in between, is most.

    To begin at the first frame costs `at_first`: `price` after a frame outside, −`price` after one inside, for that
    would have to end; 0 where it is not known. Frames that change nothing are taken as their next is.
    """
    lead: list[float] = []  # of ending inside over ending outside
    for gain in evidence:
        lead.append(gain + (min(max(lead[-1], -price), price) if lead else -at_first))
    chosen = [False] * len(lead)
    now = bool(lead) and lead[-1] > 0
    for i in range(len(lead) - 1, -1, -1):
        if abs(lead[i]) > price or i == len(lead) - 1:
            now = lead[i] > 0
        chosen[i] = now
    return chosen


def stretches(
    evidence: Sequence[float] | NDArray[np.float64],
    price: float,
    costs: NDArray[np.float64],
    at_first: float = 0.0,
) -> list[tuple[int, int]]:
    """As the `runs` of `inside`, where each run of n frames costs costs[n - 1] too (semi-Markov): (begin, end) of each.

    Two runs may follow one another without a frame between. In O(n²) for n frames.
    """
    count = len(evidence)
    total = np.concatenate([[0.0], np.cumsum(evidence)])
    begins = np.full(count, price)  # of a run, by its first frame
    begins[:1] = at_first
    best = np.zeros(count + 1)  # of the first so many frames, with nothing going on after them
    begun = [-1] * (count + 1)  # where the run began that ends there; −1: none does
    for end in range(1, count + 1):
        gains = best[:end] + total[end] - total[:end] - costs[end - 1 :: -1] - begins[:end]
        if end < count:
            gains -= price
        first = int(gains.argmax())
        best[end] = best[end - 1]
        if gains[first] > best[end]:
            best[end], begun[end] = gains[first], first
    found = []
    end = count
    while end > 0:
        if begun[end] < 0:
            end -= 1
        else:
            found.append((begun[end], end))
            end = begun[end]
    return found[::-1]


def runs(chosen: Sequence[bool]) -> list[tuple[int, int]]:
    """(begin, end) of the frames chosen one after the other, `end` one beyond the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(chosen, np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _trimmed(begin: int, end: int, observed: NDArray[np.bool_]) -> slice:
    """The run without the extrapolated boxes at its ends; empty if it has no others."""
    seen = begin + np.flatnonzero(observed[begin:end])
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(begin, begin)


def mean_of_best(scores: Sequence[float] | NDArray[np.float32], count: int) -> float:
    """The mean of the `count` highest scores, of all if there are fewer; of none, 0."""
    best = np.sort(np.asarray(scores, np.float64))[::-1][:count]
    return float(best.mean()) if len(best) else 0.0
