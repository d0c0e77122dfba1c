"""Whether the wall clock has been set, and can be trusted. Shell: asks the kernel and systemd.

A Jetson without a battery starts in 1970, or at the time it was switched off, until a time server answers. Durations
come from the monotonic clock; this module decides whether times of day can be trusted.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

EARLIEST = 1_735_689_600.0  # 2025-01-01, unix time, s: older than this program, so an earlier time was never set
NEVER = 0.0  # an expiry in 1970: the outbox takes it as of a clock that was not set, and keeps the message
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
    """The kernel's bound of its clock's error, µs; None where asking is forbidden (ProtectClock=, Docker)."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    timex = Timex()  # modes = 0: read only
    if adjtimex is None or adjtimex(ctypes.byref(timex)) < 0:
        return None
    return int(timex.maxerror)


def synced(
    unix_time: float | None = None, error: Callable[[], int | None] = kernel_error, flag: Path = TIMESYNC
) -> bool | None:
    """Whether a time server has set the clock recently; None where that is unknown.

    Like systemd's `ntp_synced` it relies on the error's bound: STA_UNSYNC may be set only to keep the kernel from
    writing the battery's clock. `unix_time`: the wall clock, None to read it.
    """
    if (time.time() if unix_time is None else unix_time) < EARLIEST:
        return False
    microseconds = error()
    if microseconds is not None:
        return microseconds < LARGEST_ERROR
    return True if flag.exists() else None


def expiry(now: float, max_age: float, clock_synced: bool | None) -> float:
    """When a message expires that may grow `max_age` s old, unix time, s.

    What is stored before the clock is set never expires: once it is set, all of it would be too old at once.
    """
    if clock_synced is False or now < EARLIEST:
        return NEVER
    return now + max_age
