"""Standard output as programs need it: any character, whatever its encoding, and readers that stop. Shell."""

import io
import os
import select
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

UNREAD = 1  # the exit status of a program of whose output the rest is not wanted

Parameters = ParamSpec("Parameters")


def program(main: Callable[Parameters, int]) -> Callable[Parameters, int]:
    """Let a program's main function print anything to anybody.

    Characters that the terminal's encoding lacks, such as those of a Chinese label, are escaped as `\\u6295`: Python
    does so for stderr, but on stdout they would end the program. Where the reader stops before the end, as `head` does,
    the program ends too, with UNREAD, and says nothing.
    """

    @wraps(main)
    def run(*given: Parameters.args, **named: Parameters.kwargs) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            try:
                return main(*given, **named)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # not when Python ends, where nothing can be done about it any more
        except BrokenPipeError:
            if not _is_unread():
                raise  # another pipe, of a process that has died: that is no quiet end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes there
            return UNREAD

    return run


def _is_unread() -> bool:
    """Whether nobody reads standard output any more."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return False
    asked = select.poll()
    asked.register(output, select.POLLERR)
    return bool(asked.poll(0))
