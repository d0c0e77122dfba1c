"""The process that reads MATLAB files: what becomes of it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from train import mat_files

pytest.importorskip("scipy", reason="scipy is not installed (extra `train`)")

OPEN = """
import multiprocessing
import signal
import time
from train import mat_files

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
    with mat_files.reader():
        print(multiprocessing.active_children()[0].pid, flush=True)
        time.sleep(60)
"""


def gone(process: int, *, within: float = 10.0) -> bool:
    until = time.monotonic() + within
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_reader_that_ends_in_the_midst_is_told(tmp_path: Path) -> None:
    """It waits for somebody to write into the pipe, and is ended there as a fault in its code would."""
    waits = tmp_path / "00001.mat"
    os.mkfifo(waits)
    others = multiprocessing.active_children()
    with mat_files.reader() as read:
        (process,) = set(multiprocessing.active_children()).difference(others)
        threading.Timer(0.5, process.kill).start()
        with pytest.raises(mat_files.MatError, match="so damaged that SciPy's reader ended"):
            read(waits, ("loc",))
    assert process.exitcode is not None


def test_nothing_is_left_of_a_reader(tmp_path: Path) -> None:
    others = multiprocessing.active_children()
    with mat_files.reader() as read:
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.mat", ("loc",))
        (process,) = set(multiprocessing.active_children()).difference(others)
        assert process.exitcode is None
    assert process.exitcode is not None


@pytest.fixture
def opened(tmp_path: Path) -> "subprocess.Popen[str]":
    script = tmp_path / "open.py"
    script.write_text(OPEN)
    return subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_reader_ends_with_who_opened_it(opened: "subprocess.Popen[str]") -> None:
    with opened:
        assert opened.stdout is not None
        reader = int(opened.stdout.readline())
        opened.kill()
    assert gone(reader)


def test_a_reader_says_nothing_of_a_keyboard_interrupt(opened: "subprocess.Popen[str]") -> None:
    with opened:
        assert opened.stdout is not None
        reader = int(opened.stdout.readline())
        os.killpg(opened.pid, signal.SIGINT)
        _, said = opened.communicate(timeout=20)
    assert said.count("KeyboardInterrupt") == 1
    assert gone(reader)


def test_a_script_that_would_start_itself_again_is_told(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("from train import mat_files\nwith mat_files.reader():\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=60)
    assert "if __name__ == '__main__':" in ended.stderr  # says Python
    assert "the process that reads MATLAB files did not start" in ended.stderr
