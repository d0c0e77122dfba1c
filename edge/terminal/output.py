"""Standard output as programs need it: any character, whatever its encoding, and readers that stop. Shell."""

import io
import os
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
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes there
            return UNREAD

    return run
