"""Which earlier frame a motion map compares with: the one nearest to a gap of seconds before the newest. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Content = TypeVar("Content")

REFERENCE_RATE = 25.0  # frames per second, those of UCF101: of models that name no rate
PARTS = 8  # of a gap: frames that are closer together than one of them are too alike to keep all
LONGEST = 30  # gaps: what was seen before a longer pause is another scene (2.4 s for the shipped model)
CLOSEST = 0.9  # frames at the model's rate, which are all kept where they are no more than MOST
MOST = 40  # frames in a gap: each takes 4 MB, and a gap may be a minute


@dataclass(frozen=True)
class MotionGap:
    """How far apart the two frames of a motion map lie: `seconds`, for a model trained at `rate` frames per second."""

    seconds: float
    rate: float

    @property
    def longest(self) -> float:
        """The seconds after which no frame is compared with any more."""
        return LONGEST * self.seconds

    @property
    def spacing(self) -> float:
        """The seconds between frames that bound how many are kept.

        At most 1.2 for each frame of the gap, or 11; of long gaps about MOST.
        """
        return max(min(self.seconds / PARTS, CLOSEST / self.rate), self.seconds / MOST)


@dataclass(frozen=True)
class Choice:
    """Of the past frames, by index: the `previous` one, and all that are still `kept`, with it; the rest is free.

    `previous` is None where there is no past frame, or none that is recent enough: the motion map then compares with a
    frame of zeros.
    """

    previous: int | None
    kept: tuple[int, ...]


def choose(times: Sequence[float], now: float, gap: MotionGap) -> Choice:
    """What to do with the past frames, of these `times` (seconds, oldest first), when a frame comes at the time `now`.

    The previous frame is that nearest to `gap.seconds` before `now`, of equals the later, and never the new one itself.
    Kept are those that may be nearest for a later frame; after `kept`, append the new frame. After a pause of more than
    `gap.longest`, as when a camera was away, all begins anew. After a clock has stepped back, frames that seem to come
    after `now` are kept no longer.
    """
    if not times or now - times[-1] > gap.longest:
        return Choice(None, ())
    target = now - gap.seconds
    previous = min(reversed(range(len(times))), key=lambda index: abs(times[index] - target))
    before = [index for index, time in enumerate(times) if time <= target]
    first = before[-1] if before else 0
    kept = [index for index in range(first, len(times)) if times[index] <= now]
    if len(kept) > 1 and times[kept[-1]] - times[kept[-2]] < gap.spacing:
        del kept[-1]
    return Choice(previous, tuple(sorted({previous, *kept})))


@dataclass(frozen=True, eq=False)
class Recall(Generic[Content]):
    """`choose` applied to the past frames themselves; `free` are those that nothing needs any longer."""

    previous: Content | None
    kept: tuple[tuple[float, Content], ...]
    free: tuple[Content, ...]


def recall(past: Sequence[tuple[float, Content]], now: float, gap: MotionGap) -> Recall[Content]:
    """What a camera's `past`, (time, frame) oldest first, holds for a frame at the time `now`; as `choose`."""
    choice = choose([time for time, _ in past], now, gap)
    return Recall(
        None if choice.previous is None else past[choice.previous][1],
        tuple(past[index] for index in choice.kept),
        tuple(frame for index, (_, frame) in enumerate(past) if index not in choice.kept),
    )
