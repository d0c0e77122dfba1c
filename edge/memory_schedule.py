"""When a camera's memory takes its next step, when its maps are used again, and when it begins anew. Pure."""

from typing import Literal

LONGEST = 30  # intervals: after a longer pause it is another scene (4.8 s at 0.16), as for the motion map
EARLY = 0.5  # frames

StepKind = Literal["begin", "continue", "wait"]


def next_step(last: float | None, now: float, interval: int, rate: float) -> StepKind:
    """What the frame at the time `now` is for the memory, whose last step was at `last`; times in seconds.

    A step is every `interval` frames, at `rate` frames per second; half a frame early is near enough, for cameras and
    containers are not punctual.

    "begin": from zeros, without a last step, after a pause of more than LONGEST intervals, or where the clock has
    stepped back. "continue": a step is due. "wait": the last maps still hold.
    """
    if last is None or now < last:
        return "begin"
    frames = (now - last) * rate
    if frames > LONGEST * interval:
        return "begin"
    return "continue" if frames >= interval - EARLY else "wait"
