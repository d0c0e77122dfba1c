import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edge.sensors import host_sensors


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


CHILDREN_OVER_TIME = """
import json, subprocess, sys
from edge.sensors.host_sensors import process_usage

def children():
    return process_usage()["children"]

counts = [children()]
with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
    counts.append(children())
    child.stdin.write(b"\\n")
counts.append(children())
print(json.dumps(counts))
"""


def test_children_are_counted_apart() -> None:
    # in a process of its own: in this one, children of other tests end at any time
    script = subprocess.run(
        [sys.executable, "-c", CHILDREN_OVER_TIME], check=True, capture_output=True, text=True, timeout=60
    )
    before, during, after = json.loads(script.stdout)
    assert [one["count"] for one in (before, during, after)] == [0, 1, 0]
    assert during["memory_mib"] > 0


CHILDREN_OF_CHILDREN = """
import os, subprocess, sys
from pathlib import Path
from edge.sensors import host_sensors

if sys.argv[1:]:
    host_sensors.PROC = Path(sys.argv[1])
    (host_sensors.PROC / str(os.getpid()) / "task" / "1").mkdir(parents=True)
child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE) as first:
    while host_sensors.process_usage()["children"]["count"] != 2:
        pass
    first.stdin.write(b"\\n")
"""


@pytest.mark.parametrize("kernel", ["", "without CONFIG_PROC_CHILDREN"])
def test_children_of_children_are_found(tmp_path: Path, kernel: str) -> None:
    proc = [str(tmp_path)] if kernel else []
    subprocess.run([sys.executable, "-c", CHILDREN_OF_CHILDREN, *proc], check=True, timeout=60)
