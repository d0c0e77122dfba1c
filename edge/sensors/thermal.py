"""Which share of frames to skip while the device is too hot, and which frames. Pure."""

from dataclasses import dataclass

SHARE_AT_LIMIT = 0.2  # of frames skipped at the limit
SPAN = 10.0  # K above the limit at which `most_skipped` is reached
STEP = 0.05  # shares are multiples of it, so that a jittering temperature changes nothing
MARGIN = 5.0  # K below the limit at which skipping ends, unless `resume` is set
ROUNDING = 1e-9  # tolerance of sums of shares


@dataclass(frozen=True)
class ThermalSettings:
    """`limit`: °C from which frames are skipped, None for never; `resume`: °C below which skipping ends.

    `most_skipped`: the largest skipped share, 0..1. ValueError where `resume` is above `limit`.
    """

    limit: float | None = None
    resume: float | None = None
    most_skipped: float = 0.9

    def __post_init__(self) -> None:
        if self.limit is None and self.resume is not None:
            raise ValueError(f"resume {self.resume} has no effect without a limit: set limit, or leave resume out")
        if self.limit is not None and self.resume is not None and self.resume > self.limit:
            raise ValueError(f"resume {self.resume} is above limit {self.limit}: lower it")


def share_to_skip(before: float, celsius: float | None, settings: ThermalSettings) -> float:
    """The share of frames to skip from now on, 0..1, given the hottest sensor and the share so far.

    Skipping begins at the limit, grows linearly with the temperature, and ends below `resume`. Without a reading the
    share is 0: the kernel still protects the chip.
    """
    limit = settings.limit
    if limit is None or celsius is None:
        return 0.0
    resume = limit - MARGIN if settings.resume is None else settings.resume
    if celsius < (resume if before else limit):
        return 0.0
    steps = round((SHARE_AT_LIMIT + max(0.0, celsius - limit) / SPAN * (settings.most_skipped - SHARE_AT_LIMIT)) / STEP)
    return min(steps * STEP, settings.most_skipped)


def admit(credit: float, share: float) -> tuple[bool, float]:
    """Whether to process a camera's next frame when `share` of them is skipped, and the credit for the one after.

    Start with a credit of 0. Skipped frames are spread as evenly as whole frames can be (Bresenham 1965).
    """
    credit += 1 - share
    return (True, min(credit - 1, 1.0)) if credit >= 1 - ROUNDING else (False, credit)
