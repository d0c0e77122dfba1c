"""The process that reads MATLAB files: what becomes of it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE
from train.safe_reading import mat_files

savemat = pytest.importorskip("scipy.io", reason="scipy is not installed (extra `train`)").savemat

OPEN = """
import multiprocessing
import signal
import time
from train.safe_reading import mat_files

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


def test_a_reader_that_ends_midway_is_reported(tmp_path: Path) -> None:
    """It stands still, and is ended there as a fault in its code would."""
    (tmp_path / "00001.mat").write_bytes(b"")
    others = multiprocessing.active_children()
    with mat_files.reader() as read:
        (process,) = set(multiprocessing.active_children()).difference(others)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(0.5, process.kill).start()
        with pytest.raises(mat_files.MatError, match="so damaged that SciPy's reader ended"):
            read(tmp_path / "00001.mat", ("loc",))
    assert process.exitcode is not None


def test_values_come_through(tmp_path: Path) -> None:
    cells = np.array([1.5, "text"], dtype=object)
    content: dict[str, Any] = {
        "numbers": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "struct": {"a": cells, "b": "name"},
        "none": [],
    }
    savemat(tmp_path / "a.mat", content)
    with mat_files.reader() as read:
        found = read(tmp_path / "a.mat", tuple(content))
        assert np.array_equal(found["numbers"], content["numbers"])
        ((first,), (second,)) = ([one[key] for one in found["struct"]] for key in "ab")
        assert ([one.item() for one in first], second.item()) == ([1.5, "text"], "name")
        assert found["none"].shape == (0, 0)
        with pytest.raises(mat_files.MatError, match="KeyError: 'more'"):
            read(tmp_path / "a.mat", ("more",))


def test_a_file_that_comes_to_more_memory_than_there_is_for_it(tmp_path: Path) -> None:
    """64 MiB of zeros, in a file of 64 KiB."""
    savemat(tmp_path / "a.mat", {"a": np.zeros(1 << 26, np.uint8)}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 1 << 17
    with mat_files.reader(32 << 20) as read, pytest.raises(mat_files.MatError, match="MemoryError"):
        read(tmp_path / "a.mat", ("a",))


def test_the_reader_has_no_rights() -> None:
    others = multiprocessing.active_children()
    with mat_files.reader():
        (process,) = set(multiprocessing.active_children()).difference(others)
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
        files = {os.readlink(f"/proc/{process.pid}/fd/{name}") for name in os.listdir(f"/proc/{process.pid}/fd")}
    if "\nSeccomp:\t" not in status:
        pytest.skip("this kernel cannot refuse system calls")
    assert "\nSeccomp:\t2\n" in status
    assert "\nNoNewPrivs:\t1\n" in status
    assert len(files) == 2, files  # the pipe to who asks, and where errors are printed


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
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_reader_ends_with_its_parent(opened: "subprocess.Popen[str]") -> None:
    with opened:
        assert opened.stdout is not None
        reader = int(opened.stdout.readline())
        opened.kill()
    assert gone(reader)


def test_a_reader_prints_nothing_on_a_keyboard_interrupt(opened: "subprocess.Popen[str]") -> None:
    with opened:
        assert opened.stdout is not None
        reader = int(opened.stdout.readline())
        os.killpg(opened.pid, signal.SIGINT)
        _, output = opened.communicate(timeout=PATIENCE)
    assert output.count("KeyboardInterrupt") == 1
    assert gone(reader)


def test_an_unguarded_script_is_reported(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("from train.safe_reading import mat_files\nwith mat_files.reader():\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert "if __name__ == '__main__':" in ended.stderr  # says Python
    assert "the process that reads MATLAB files did not start" in ended.stderr
