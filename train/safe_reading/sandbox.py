"""Shell. Drops every right of this process that arithmetic on bytes does not need. Linux.

For processes that parse untrusted files in C: who takes one over can only compute, and answer in its open pipes.
"""

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Processor:
    """Of a processor: its number in the kernel's audit, seccomp(2), and the calls that stay, all by number."""

    audit: int
    seccomp: int
    stay: tuple[int, ...]


# the calls that stay, and their numbers on x86-64 and aarch64
_ALLOWED_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "poll, ppoll": (7, 73),
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "nanosleep": (35, 101),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_PROCESSORS: Mapping[str, _Processor] = {
    "x86_64": _Processor(0xC000003E, 317, tuple(x86 for x86, _ in _ALLOWED_CALLS.values())),
    "aarch64": _Processor(0xC00000B7, 277, tuple(arm for _, arm in _ALLOWED_CALLS.values())),
}
_NO_NEW_PRIVILEGES = 38
_SET_FILTER, _ALL_THREADS = 1, 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: a word of the call, a jump where it is equal, the verdict
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def enter(memory: int, keep: Collection[int]) -> bool:
    """Close all files but those numbers, let the process grow by `memory` bytes, and refuse it all other calls.

    False where this system cannot refuse calls; the rest holds then. There is no way back.
    """
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for file in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        if file not in keep:
            os.closerange(file, file + 1)
    machine = _PROCESSORS.get(platform.machine())
    return machine is not None and _filtered(machine)


def _filtered(machine: _Processor) -> bool:
    instructions = _instructions(machine)
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        return False
    return bool(libc.syscall(machine.seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0)


def _instructions(machine: _Processor) -> bytes:
    """Refused is a call of another processor's kind, and one whose number is not among those that stay."""

    def instruction(code: int, value: int, equal: int = 0) -> bytes:
        return struct.pack("=HBBI", code, equal, 0, value)

    calls = machine.stay
    tests = [instruction(_EQUAL, number, equal=len(calls) - place) for place, number in enumerate(calls)]
    return b"".join(
        [
            instruction(_LOAD, 4),
            instruction(_EQUAL, machine.audit, equal=1),
            instruction(_RETURN, _REFUSE),
            instruction(_LOAD, 0),
            *tests,
            instruction(_RETURN, _REFUSE),
            instruction(_RETURN, _ALLOW),
        ]
    )
