"""How far a long command is, in a terminal and outside of one."""

import argparse
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.terminal import progress
from edge.terminal.progress import Progress, file_summary, next_step, progress_line, seconds_to_next_line, track
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def shown(no_progress: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(progress.log, "disabled", False)
    progress.enable(True)
    yield
    progress.enable(False)


@pytest.mark.parametrize(
    ("elapsed", "seconds"),
    [(0, 5), (5, 5), (10, 10), (20, 20), (40, 30), (1000, 30), (1500, 30), (3600, 72)],  # a fiftieth of an hour
)
def test_lines_come_less_and_less_often(elapsed: float, seconds: float) -> None:
    assert seconds_to_next_line(elapsed) == seconds


@pytest.mark.parametrize(
    ("done", "total", "before", "elapsed", "text"),
    [
        (0, 86, 0, 5, "detecting: 0 of 86 videos (0 %), 0:05 so far"),
        # 12 took 83 s; the other 74 take 74 / 12 · 83 = 511.8 s
        (12, 86, 0, 83, "detecting: 12 of 86 videos (13 %), 1:23 so far, about 8:32 left"),
        # of a run that goes on, only what was done since counts: 10 in 60 s, 50 left
        (50, 100, 40, 60, "detecting: 50 of 100 videos (50 %), 1:00 so far, about 5:00 left"),
        (86, 86, 0, 3725, "detecting: 86 of 86 videos (100 %), 1:02:05 so far"),
        (7, None, 0, 59.6, "detecting: 7 videos, 1:00 so far"),
        (0, 0, 0, 5, "detecting: 0 of 0 videos (0 %), 0:05 so far"),
    ],
)
def test_progress_line(done: int, total: int | None, before: int, elapsed: float, text: str) -> None:
    assert progress_line("detecting", "video", done, total, before, elapsed) == text


def test_what_is_not_counted() -> None:
    assert progress_line("exporting", "", 0, None, 0, 9) == "exporting: 0:09 so far"


def test_lines_outside_of_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Also while nothing gets done, as where one item takes an hour."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(progress, "USUAL_SECONDS", 0.01)
    output = ""
    with Progress("detecting", "video", 3, terminal=False) as seen:
        seen.update()
        deadline = time.monotonic() + PATIENCE
        while output.count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
            output += capsys.readouterr().err
        seen.update(2)
    output += capsys.readouterr().err
    assert output.count("detecting: 1 of 3 videos (33 %)") >= 3
    assert output.splitlines()[-1].startswith("detecting: 3 of 3 videos (100 %)")


def test_quick_work_shows_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", "spelling", "letter", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_stderr_that_takes_nothing_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        with Progress("spelling", "letter", 3, terminal=False) as seen:
            deadline = time.monotonic() + PATIENCE
            while not seen.printed and time.monotonic() < deadline:
                time.sleep(0.01)
        assert seen.printed
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()


def test_the_work_continues_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert list(track("abc", "spelling", "letter", 3)) == ["a", "b", "c"]


def test_quiet_shows_no_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    progress.add_option(parser)
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(progress, "USUAL_SECONDS", 0.0)
    for terminal in (True, False):
        progress.enable(not parser.parse_args(["--quiet"]).no_progress)
        with Progress("spelling", "letter", 3, terminal=terminal) as seen:
            seen.update(3)
        assert capsys.readouterr().err == ""
    assert not parser.parse_args([]).no_progress


SCRIPT = """
from edge.terminal import progress
progress.enable(True)
for letter in progress.track("abc", "spelling", "letter", 3):
    progress.print_line(letter)
"""


def test_a_bar_in_a_terminal() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(ours, False)
    command = [sys.executable, "-c", SCRIPT]
    found = subprocess.run(command, cwd=ROOT, stderr=theirs, stdout=subprocess.PIPE, text=True, check=True)
    output = os.read(ours, 65536).decode()
    for end in (ours, theirs):
        os.close(end)
    assert "spelling:   0%" in output
    assert found.stdout == "a\nb\nc\n"


def test_made_and_next(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1500))
    (tmp_path / "b").write_bytes(bytes(2_000_000))
    assert file_summary(tmp_path / "a") == f"{tmp_path}/a (1.5 kB)"
    assert file_summary(Path("/dev/null")) == "/dev/null"
    assert file_summary(tmp_path) == f"{tmp_path} (2.0 MB)"
    assert next_step("korsal-train", Path("my data"), "--seed", 3) == "Next: korsal-train 'my data' --seed 3"


COMMANDS = [
    ("train.train", []),
    ("train.train", ["check"]),
    ("train.evaluate", []),
    *[("train.evaluate", [step]) for step in ("detect", "link", "score", "events", "export")],
    ("convert", []),
    *[("convert", [step]) for step in ("checkpoint", "export", "quantize", "check", "build")],
    *[("edge", [command]) for command in ("replay", "bench", "demo")],
]


@pytest.mark.slow
def test_every_long_command_can_be_quiet() -> None:
    pytest.importorskip("torch")
    asked = [
        subprocess.Popen([sys.executable, "-m", module, *words, "--help"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for module, words in COMMANDS
    ]
    for process, (module, words) in zip(asked, COMMANDS, strict=True):
        reported = process.communicate(timeout=PATIENCE)[0]
        assert "-q, --no-progress" in reported if words == ["events"] else "-q, --quiet" in reported, (module, words)
