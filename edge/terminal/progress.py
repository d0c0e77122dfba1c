"""How far a long command is: a bar in a terminal, elsewhere a line now and then on stderr. Shell: reads the clock.

A command line calls `show` once; without it, as in a library, nothing is said.
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
from typing import Any, TypeVar

from tqdm import tqdm

FIRST_SECONDS = 5.0  # until the first line; the next come after as long as it has taken so far, but
USUAL_SECONDS = 30.0  # no more than this apart, or, where it takes long,
LATER_SHARE = 0.02  # than this share of the time so far

log = logging.getLogger(__name__)  # only for its level, which says whether anything is shown

Item = TypeVar("Item")


def add_option(parser: argparse.ArgumentParser, *names: str) -> None:
    """`--quiet`, or another name where that is taken."""
    parser.add_argument(*(names or ("-q", "--quiet")), dest="no_progress", action="store_true", help="show no progress")


def enable(wanted: bool) -> None:
    """From now on, or no more."""
    log.setLevel(logging.INFO if wanted else logging.CRITICAL)


class Progress:
    """So many units of `total` are done; None: nobody knows how many there are; unit "": nothing is counted.

    A context manager. `done` of them before this began. `terminal`: whether stderr is one, None: ask it.
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
            except RuntimeError:  # the machine has no thread to give: the work goes on without a word
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
        """So many more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items: one more is done when the next is asked for."""
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
        with suppress(OSError, ValueError):  # nobody reads it, it is full or closed: the work goes on
            tqdm.write(text, file=sys.stderr)
            sys.stderr.flush()


def track(items: Iterable[Item], doing: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """The items, with progress while they last."""
    with Progress(doing, unit, total) as progress:
        yield from progress.track(items)


def print_line(text: str) -> None:
    """A line on stdout that does not tear a bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def seconds_to_next_line(elapsed: float) -> float:
    """Seconds until the next line, where so many have passed since the beginning."""
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
    """A file or folder that was made, and its size: `runs/mine/best.pt (12.3 MB)`."""
    if not path.is_file() and not path.is_dir():  # a pipe or terminal, say
        return str(path)
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    size = sum(one.stat().st_size for one in files)
    return f"{path} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"{path} ({size / 1e3:.1f} kB)"


def next_step(*words: object) -> str:
    """The command that usually comes next, to be copied."""
    return f"Next: {shlex.join(map(str, words))}"


def _bar(doing: str, unit: str, total: int | None, done: int) -> Any:
    return tqdm(total=total, initial=done, desc=doing, unit=f" {unit}", leave=False, file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
