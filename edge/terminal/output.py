"""Standard output, whatever the terminal's encoding. Shell."""

import io
import sys


def escape_unencodable() -> None:
    """Let what the terminal's encoding cannot hold, such as a label in Chinese, be written as `\\u6295`.

    Otherwise printing it would end the program, as Python does it for stdout and not for stderr.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
