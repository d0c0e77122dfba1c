"""Progress of long commands: a bar in a terminal, otherwise a line on stderr now and then. Shell: reads the clock.

Nothing is shown unless a command line calls `enable`, so that a library stays silent.
"""

import argparse
import logging
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

FIRST_SECONDS = 5.0  # until the first line; the interval then grows with the time elapsed, up to the larger of
USUAL_SECONDS = 30.0  # this and
LATER_SHARE = 0.02  # this share of the time elapsed
NEXT = "Next: "  # how `next_step` begins

log = logging.getLogger(__name__)  # used for its level alone: whether progress is shown

Item = TypeVar("Item")


def add_option(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add `--quiet`, or another name where that is taken."""
    parser.add_argument(*(names or ("-q", "--quiet")), dest="no_progress", action="store_true", help="show no progress")


def enable(enabled: bool) -> None:
    """Show progress from now on, or stop showing it."""
    log.setLevel(logging.INFO if enabled else logging.CRITICAL)


class Progress:
    """A context manager that shows how many of `total` units are done.

    `total`: None if it is unknown. `unit`: "" counts nothing. `done`: units done before it began. `terminal`: whether
    stderr is a terminal; None: find out.
    """

    def __init__(
        self, doing: str, unit: str, total: int | None = None, done: int = 0, terminal: bool | None = None
    ) -> None:
        shown = log.isEnabledFor(logging.INFO)
        terminal = sys.stderr.isatty() if terminal is None else terminal
        self._doing, self._unit, self._total, self._before = doing, unit, total, done
        self._done, self._began, self.printed = done, time.monotonic(), False
        self._bar: Any = _bar(doing, unit, total, done) if shown and terminal else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print_regularly, daemon=True) if shown and not terminal else None

    def __enter__(self) -> "Progress":
        if self._thread:
            try:
                self._thread.start()
            except RuntimeError:  # no thread can be had: the work continues without progress
                self._thread = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._thread:
            self._ended.set()
            self._thread.join()
            if self.printed and kind is None:
                self._write()

    def update(self, count: int = 1) -> None:
        """Count this many more units as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items; each counts as done when the next is requested."""
        for item in items:
            yield item
            self.update()

    def _print_regularly(self) -> None:
        while not self._ended.wait(seconds_to_next_line(time.monotonic() - self._began)):
            self.printed = True
            self._write()

    def _write(self) -> None:
        seconds = time.monotonic() - self._began
        text = progress_line(self._doing, self._unit, self._done, self._total, self._before, seconds)
        with suppress(OSError, ValueError):  # not read, full or closed: the work continues
            tqdm.write(text, file=sys.stderr)
            sys.stderr.flush()


def track(items: Iterable[Item], doing: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and show progress meanwhile."""
    with Progress(doing, unit, total) as progress:
        yield from progress.track(items)


def print_line(text: str, file: TextIO | None = None) -> None:
    """Print a line, to stdout unless `file` is given, without breaking a progress bar."""
    file = file or sys.stdout
    tqdm.write(text, file=file)
    file.flush()


def seconds_to_next_line(elapsed: float) -> float:
    """Seconds until the next line, given those since the start."""
    return min(max(FIRST_SECONDS, elapsed), max(USUAL_SECONDS, LATER_SHARE * elapsed))


def progress_line(doing: str, unit: str, done: int, total: int | None, before: int, elapsed: float) -> str:
    """`detecting: 12 of 86 videos (14 %), 1:23 so far, about 8:32 left`; `before`: done when the clock began."""
    if not unit:
        return f"{doing}: {_clock(elapsed)} so far"
    if total is None:
        return f"{doing}: {done} {unit}s, {_clock(elapsed)} so far"
    left = ""
    if before < done < total:
        left = f", about {_clock(elapsed * (total - done) / (done - before))} left"
    return f"{doing}: {done} of {total} {unit}s ({100 * done // max(total, 1)} %), {_clock(elapsed)} so far{left}"


def file_summary(path: Path) -> str:
    """The path and size of a file or folder: `runs/mine/best.pt (12.3 MB)`."""
    if not path.is_file() and not path.is_dir():  # for example a pipe or terminal
        return str(path)
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    size = sum(one.stat().st_size for one in files)
    return f"{path} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"{path} ({size / 1e3:.1f} kB)"


def next_step(*words: object) -> str:
    """The command that usually comes next, ready to be copied."""
    return f"{NEXT}{shlex.join(map(str, words))}"


def _bar(doing: str, unit: str, total: int | None, done: int) -> Any:
    return tqdm(total=total, initial=done, desc=doing, unit=f" {unit}", leave=False, file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
