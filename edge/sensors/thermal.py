"""How many frames to leave out while the device is too hot, and which. Pure."""

from dataclasses import dataclass

LEAST = 0.2  # share of the frames to leave out at the limit
SPAN = 10.0  # K above the limit at which the most is left out
STEP = 0.05  # shares are multiples of it, so that a temperature that trembles changes nothing
MARGIN = 5.0  # K below the limit at which all frames are taken again, where nothing else is set
ROUNDING = 1e-9  # by which sums of shares may fall short


@dataclass(frozen=True)
class ThermalSettings:
    """`limit`: °C from which on frames are left out, None for never; `resume`: °C below which all are taken again.

    `most_skipped`: the largest share of the frames that is left out, 0..1. ValueError where `resume` is above `limit`.
    """

    limit: float | None = None
    resume: float | None = None
    most_skipped: float = 0.9

    def __post_init__(self) -> None:
        if self.limit is None and self.resume is not None:
            raise ValueError(f"resume {self.resume} says nothing without a limit: set limit, or leave resume out")
        if self.limit is not None and self.resume is not None and self.resume > self.limit:
            raise ValueError(f"resume {self.resume} is above limit {self.limit}: lower it")


def share_to_skip(before: float, celsius: float | None, settings: ThermalSettings) -> float:
    """The share of the frames to leave out from now on, 0..1, given the hottest sensor and the share so far.

    It begins at the limit, grows evenly with the heat, and ends below `resume`. Where no sensor speaks it is 0: the
    kernel still guards the chip.
    """
    limit = settings.limit
    if limit is None or celsius is None:
        return 0.0
    resume = limit - MARGIN if settings.resume is None else settings.resume
    if celsius < (resume if before else limit):
        return 0.0
    steps = round((LEAST + max(0.0, celsius - limit) / SPAN * (settings.most_skipped - LEAST)) / STEP)
    return min(steps * STEP, settings.most_skipped)


def admit(credit: float, share: float) -> tuple[bool, float]:
    """Whether to take the next frame of a camera of which `share` is to be left out, and the credit for the one after.

    Begin with a credit of 0. The frames that are left out lie as evenly as whole frames can (Bresenham 1965).
    """
    credit += 1 - share
    return (True, min(credit - 1, 1.0)) if credit >= 1 - ROUNDING else (False, credit)
