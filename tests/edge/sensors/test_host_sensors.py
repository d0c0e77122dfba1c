import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edge.sensors import host_sensors
from tests.support.waiting import wait_for


def test_this_machine_is_read() -> None:
    host_sensors.read()
    reading = host_sensors.read()
    assert reading.source == "psutil"
    assert reading.memory_total_mib is not None
    assert reading.memory_available_mib is not None
    assert 0 < reading.memory_available_mib <= reading.memory_total_mib == psutil.virtual_memory().total / 2**20
    assert reading.cpu_load is not None
    assert 0 <= reading.cpu_load <= 1
    assert (reading.power_w, reading.throttled) == (None, None)


USAGE_OVER_TIME = """
import json, sys, threading
from edge.sensors.host_sensors import process_usage

usages = [process_usage()]
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
with open(sys.executable):
    usages.append(process_usage())
stop.set()
thread.join()
while process_usage()["threads"] != usages[0]["threads"]:  # the kernel ends a thread a moment after it is joined
    pass
usages.append(process_usage())
print(json.dumps(usages))
"""


def test_open_files_and_threads_are_counted() -> None:
    # in a process of its own: in this one, files of other tests are closed at any time
    script = subprocess.run(
        [sys.executable, "-c", USAGE_OVER_TIME], check=True, capture_output=True, text=True, timeout=60
    )
    before, during, after = json.loads(script.stdout)
    assert during["open_files"] == before["open_files"] + 1
    assert during["threads"] == before["threads"] + 1
    assert after["open_files"] == before["open_files"]
    assert 10 < after["memory_mib"] < 100_000


def test_children_are_counted_apart() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)  # reaps what other tests left
    before = children()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        wait_for(lambda: children()["count"] == before["count"] + 1, "the child to be counted")
        assert children()["memory_mib"] > before["memory_mib"]
        assert child.stdin is not None
        child.stdin.close()
    assert children()["count"] == before["count"]


@pytest.mark.parametrize("kernel", ["", "without CONFIG_PROC_CHILDREN"])
def test_children_of_children_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    if kernel:
        (tmp_path / str(os.getpid()) / "task" / "1").mkdir(parents=True)
        monkeypatch.setattr(host_sensors, "PROC", tmp_path)
    script = "import subprocess, sys; input(); subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
        before = children()["count"]  # after the start, which reaps what other tests left
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_for(lambda: children()["count"] == before + 1, "the second to be counted")
        child.stdin.close()


def children() -> dict[str, float]:
    found = host_sensors.process_usage()["children"]
    assert isinstance(found, dict)
    return found
