"""Standard output that takes any character, whatever the terminal's encoding. Shell."""

import io
import sys


def escape_unencodable() -> None:
    """Escape characters that the terminal's encoding lacks, such as those of a Chinese label, as `\\u6295`.

    Python does so for stderr; on stdout, printing such a label would end the program.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
