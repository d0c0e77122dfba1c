import ctypes
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.sensors.clock import EARLIEST, LARGEST_ERROR, NEVER, Timex, expiry, kernel_error, synced
from tests.support.paths import ROOT

TODAY = 1_800_000_000.0
DAY = 86_400.0


def says(error: int | None) -> Any:
    return lambda: error


@pytest.mark.parametrize(
    ("unix_time", "error", "flag", "expected"),
    [
        (TODAY, 1500, False, True),
        (TODAY, LARGEST_ERROR - 1, False, True),
        (TODAY, LARGEST_ERROR, False, False),
        (TODAY, LARGEST_ERROR, True, False),  # the kernel has forgotten what the flag remembers
        (TODAY, None, True, True),
        (TODAY, None, False, None),
        (0.0, 1500, True, False),  # 1970
        (EARLIEST - 1, None, True, False),
        (EARLIEST, None, True, True),
    ],
)
def test_synced(tmp_path: Path, unix_time: float, error: int | None, flag: bool, expected: bool | None) -> None:
    if flag:
        (tmp_path / "synchronized").touch()
    assert synced(unix_time, says(error), tmp_path / "synchronized") is expected


@pytest.mark.skipif(sys.maxsize < 2**32 or not sys.platform.startswith("linux"), reason="struct timex of 64-bit Linux")
def test_the_kernel_interface_matches_its_header() -> None:
    assert ctypes.sizeof(Timex) >= 208  # never shorter than the kernel's, which writes all of it
    assert (Timex.maxerror.offset, Timex.status.offset) == (24, 40)
    error = kernel_error()
    assert error is None or 0 <= error <= LARGEST_ERROR
    assert synced() in (True, False, None)


def test_asking_for_the_clock_state_is_cheap() -> None:
    begin = time.process_time()
    for _ in range(1000):
        synced()
    assert time.process_time() - begin < 0.5  # measured: some microseconds each


@pytest.mark.parametrize(
    ("now", "clock_synced", "expected"),
    [
        (TODAY, True, TODAY + DAY),
        (TODAY, None, TODAY + DAY),
        (TODAY, False, NEVER),
        (100.0, None, NEVER),
        (100.0, True, NEVER),
    ],
)
def test_expiry(now: float, clock_synced: bool | None, expected: float) -> None:
    assert expiry(now, DAY, clock_synced) == expected


@pytest.mark.parametrize("clock_synced", [False, None])
def test_what_is_stored_in_1970_outlives_the_setting_of_the_clock(clock_synced: bool | None) -> None:
    outbox = Outbox(None, OutboxLimits())
    outbox.put([Message("t", b"", "early", 0, "new", expiry(30.0, DAY, clock_synced))], 30.0)
    outbox.put([Message("t", b"", "late", 0, "new", expiry(TODAY, DAY, True))], TODAY)
    outbox.expire(TODAY + DAY - 1)
    assert [row.message.event_id for row in outbox.pending(0, 9)] == ["early", "late"]
    outbox.expire(TODAY + DAY)
    assert [row.message.event_id for row in outbox.pending(0, 9)] == ["early"]


FORBIDDEN = """
import ctypes, errno, sys
from edge.sensors.clock import kernel_error, synced

class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]

class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]

calls = {"x86_64": (159, 305), "aarch64": (171, 266)}[sys.argv[1]]  # adjtimex, clock_adjtime
steps = [Filter(0x20, 0, 0, 0)]  # load the number of the call
for number in calls:
    steps += [Filter(0x15, 0, 1, number), Filter(0x06, 0, 0, 0x00050000 | errno.EPERM)]
steps += [Filter(0x06, 0, 0, 0x7FFF0000)]  # all others are allowed
program = Program(len(steps), (Filter * len(steps))(*steps))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(77)
print(kernel_error(), synced(1_800_000_000.0, flag=__import__("pathlib").Path("/nowhere")))
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the numbers of the calls are others here")
def test_where_the_kernel_may_not_be_asked_nothing_is_known() -> None:
    """A filter of system calls as ProtectClock=yes and Docker have it."""
    command = [sys.executable, "-c", FORBIDDEN, platform.machine()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel takes no filter of system calls from us")
    assert (done.stdout, done.stderr) == ("None None\n", "")
