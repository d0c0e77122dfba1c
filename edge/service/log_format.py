"""The format of log lines: with their time, unless systemd's journal records that itself. Shell."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Literal, get_args

LogFormat = Literal["auto", "journal", "plain"]
FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)

_LINE = "%(levelname)s %(name)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S%z"  # local, with its offset from UTC


def configure(log_format: LogFormat = "auto") -> None:
    """Log to stderr, unless logging is already configured; `auto`: without times where that is the journal."""
    bare = log_format == "journal" or (log_format == "auto" and is_journal(_file(), os.environ))
    logging.basicConfig(format=_LINE if bare else f"%(asctime)s {_LINE}", datefmt=_TIME)


def is_journal(file: tuple[int, int] | None, environment: Mapping[str, str]) -> bool:
    """Whether `file` (device, inode) is what systemd names as its journal's stream."""
    return file is not None and environment.get("JOURNAL_STREAM") == f"{file[0]}:{file[1]}"


def _file() -> tuple[int, int] | None:
    """Device and inode of stderr; None where it is closed."""
    try:
        found = os.fstat(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
