"""From tubes, frame by frame, to tracks of people for CVAT, with what each seems to do. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from edge.boxes import clip
from edge.tubes import TubeBox
from train.datasets.cvat_writer import Track
from train.evaluation.box_smoothing import BoxSmoothing

SHORTEST_SECONDS = 0.4  # of a person who is there, and of an action that is guessed

SMOOTHING = BoxSmoothing(centre=0.2, size=0.4)  # more than of tubes that are scored: keyframes are to be few


@dataclass(eq=False)
class _Person:
    """One tube while it is collected; `observed`: the last frame in which the person was detected."""

    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    guesses: list[str | None] = field(default_factory=list)
    observed: int = -1


def tracks(
    history: Iterable[tuple[int, Sequence[TubeBox]]],
    size: tuple[int, int],
    rate: float,
    start_scores: Mapping[int, tuple[str, float]],
) -> tuple[Track, ...]:
    """The people of one video by their first frames, each up to the last frame in which it was detected.

    `history`: live tubes by frame, rising. `start_scores`: by the number of a label its name and the score
    from which it is guessed; a person's guess in a frame is the one that exceeds its own by most.
    """
    people: dict[int, _Person] = {}
    for frame, live in history:
        for one in live:
            person = people.setdefault(one.tube, _Person())
            person.frames.append(frame)
            person.boxes.append(one.box)
            person.guesses.append(_guess(one, start_scores))
            person.observed = frame if one.observed else person.observed
    made = [_track(person, size, rate) for person in people.values()]
    return tuple(sorted((one for one in made if one is not None), key=lambda one: one.first))


def _guess(one: TubeBox, start_scores: Mapping[int, tuple[str, float]]) -> str | None:
    above = [(float(one.class_scores[label]) - least, name) for label, (name, least) in start_scores.items()]
    margin, name = max(above, default=(-1.0, ""))
    return name if margin >= 0 else None


def _track(person: _Person, size: tuple[int, int], rate: float) -> Track | None:
    """None where the person was there too shortly."""
    first, last = person.frames[0], person.observed
    count = last - first + 1
    if count < SHORTEST_SECONDS * rate:
        return None
    frames = np.arange(first, last + 1)
    known = np.array(person.boxes, np.float64)  # a frame that could not be decoded lies between its neighbours
    sides = [np.interp(frames, person.frames, known[:, side]) for side in range(4)]
    boxes = clip(SMOOTHING(np.stack(sides, axis=1).astype(np.float32), rate), *size)
    by_frame = dict(zip(person.frames, person.guesses, strict=True))
    guesses = _without_flicker([by_frame.get(int(frame)) for frame in frames], round(SHORTEST_SECONDS * rate))
    return Track(first, boxes, guesses)


def _without_flicker(guesses: Sequence[str | None], shortest: int) -> tuple[str | None, ...]:
    """Guesses that last for a moment only become what was guessed before."""
    steady: list[str | None] = []
    for value, run in groupby(guesses):
        count = len(list(run))
        steady += [value if count >= shortest else steady[-1] if steady else None] * count
    return tuple(steady)
