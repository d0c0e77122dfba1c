"""What the wall clock is worth: whether somebody has set it. Shell: the kernel's word and systemd's.

A Jetson without a battery starts in 1970, or where it was switched off, until a time server answers. Durations come
from the monotonic clock; this says how far times of day can be believed.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

EARLIEST = 1_735_689_600.0  # 2025-01-01, unix time, s: this program is younger, so an earlier time was never set
NEVER = 0.0  # an expiry in 1970: the outbox takes it for one by a clock that was not set, and keeps the message
LARGEST_ERROR = 16_000_000  # µs, NTP_PHASE_LIMIT: where the kernel's estimate of its error starts, and ends without NTP
TIMESYNC = Path("/run/systemd/timesync/synchronized")  # made by systemd-timesyncd when it has set the clock


class Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2) on 64-bit Linux, up to what is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 20),
    )


def kernel_error() -> int | None:
    """How wrong the kernel thinks that its clock may be, µs; None where it may not be asked (ProtectClock=, Docker)."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    timex = Timex()  # modes = 0: look, change nothing
    if adjtimex is None or adjtimex(ctypes.byref(timex)) < 0:
        return None
    return int(timex.maxerror)


def synced(
    unix_time: float | None = None, error: Callable[[], int | None] = kernel_error, flag: Path = TIMESYNC
) -> bool | None:
    """Whether the clock has been set by a time server, and not long ago; None where that cannot be told.

    As systemd's `ntp_synced`, it goes by the error's bound: STA_UNSYNC may be set only to keep the kernel from the
    battery's clock. `unix_time`: what the clock says, None to look.
    """
    if (time.time() if unix_time is None else unix_time) < EARLIEST:
        return False
    microseconds = error()
    if microseconds is not None:
        return microseconds < LARGEST_ERROR
    return True if flag.exists() else None


def expiry(now: float, max_age: float, clock_synced: bool | None) -> float:
    """Until when a message is worth sending, unix time, s, if it may grow `max_age` s old.

    What is stored while the clock is not set never expires: once it is set, all of it would be too old at once.
    """
    if clock_synced is False or now < EARLIEST:
        return NEVER
    return now + max_age
