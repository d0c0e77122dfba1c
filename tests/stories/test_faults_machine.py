"""What a machine can do to a running daemon: a disk that hangs, heat, sensors that hang, a clock that jumps.

Caused for real where that needs root, in namespaces and file systems of our own. Figures: docs/reliability.md.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.paths import ROOT
from tests.support.real_daemon import BASE, RECORD, Daemon, Witness, timed
from tests.support.waiting import wait_for

pytest_plugins = ["tests.support.watched_door"]  # its fixtures

HANGING_JTOP = """
import threading
class JtopException(Exception):
    pass
class jtop:
    def __init__(self, interval):
        pass
    def __enter__(self):
        threading.Event().wait()
    def __exit__(self, *error):
        pass
"""
SET_CLOCK = """
import time
from pathlib import Path
real = time.time
time.time = lambda: real() + float(Path({0!r}).read_text() or 0)
"""


def as_root(*command: str | Path) -> None:
    """Skips the test where this is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can do this")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")


def in_place_of(folder: Path, ours: Path) -> tuple[str, ...]:
    """A prefix for the daemon that lets it see `ours` where it expects `folder`."""
    as_root("unshare", "--mount", "mount", "--bind", ours, folder)
    return ("unshare", "--mount", "sh", "-c", f'mount --bind "{ours}" {folder} && exec "$@"', "sh")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in a file, which can be frozen."""
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    for program in ("mkfs.ext4", "fsfreeze"):
        if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"{program} is not installed")
    as_root("mkfs.ext4", "-q", image)
    as_root("mount", "-o", "loop", image, folder)
    yield folder
    subprocess.run(["fsfreeze", "--unfreeze", folder], check=False, capture_output=True)
    subprocess.run(["umount", "--lazy", folder], check=True)


class Systemd:
    """Listens at NOTIFY_SOCKET, as long as the process lives."""

    def __init__(self, path: Path) -> None:
        self.path, self.signs = path, 0
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            self.signs += self._channel.recv(100) == b"WATCHDOG=1"


@pytest.mark.slow
def test_a_disk_that_hangs_starves_the_watchdog(
    tmp_path: Path, disk: Path, fresh: Daemon, witness: Witness, record_property: RECORD
) -> None:
    """Nothing can be stored or sent, so the watchdog is not fed and would restart the daemon. Thawed, all arrives."""
    (tmp_path / "state").symlink_to(disk)
    systemd = Systemd(tmp_path / "notify")
    fresh.environment = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "1500000"}
    with fresh, contextlib.ExitStack() as owned:
        witness.wait_for_new_steps()
        as_root("fsfreeze", "--freeze", disk)
        owned.callback(lambda: subprocess.run(["fsfreeze", "--unfreeze", disk], check=False, capture_output=True))
        with timed(record_property, "noticed"):
            fresh.wait_for_log("publisher: no progress for")
        signs, started = systemd.signs, time.monotonic()
        wait_for(lambda: time.monotonic() - started > 2, "four times the interval between signs of life")
        assert systemd.signs == signs
        owned.close()
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        wait_for(lambda: systemd.signs > signs + 2, "signs of life")
        fresh.wait_for_log("publisher: makes progress again, after")
        assert fresh.log.count("systemd will restart the daemon") == 1
        fresh.stop()
        witness.nothing_is_missing()


def test_systemd_hangs(tmp_path: Path, fresh: Daemon, witness: Witness) -> None:
    """Its socket is full, and it reads nothing: detection goes on."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
            while others.sendto(b"X=1", socket.MSG_DONTWAIT, path):
                pass
        fresh.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "9000000"}
        with fresh:
            fresh.wait_for_log("systemd could not be notified of WATCHDOG=1: timed out")
            witness.wait_for_new_steps()
            fresh.stop()
            witness.nothing_is_missing()


def test_too_hot(tmp_path: Path, fresh: Daemon, witness: Witness, record_property: RECORD) -> None:
    zone = tmp_path / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("95000\n")
    (zone / "type").write_text("tj-thermal\n")
    fresh.prefix = in_place_of(Path("/sys/class/thermal"), zone.parent)
    fresh.config.write_text(f"{fresh.config.read_text()}[thermal]\nlimit = 90.0\n")
    with fresh:
        witness.wait_for_new_steps()
        witness.wait_for_topic(f"{BASE}/events/thermal")
        wait_for(lambda: witness.telemetry()["throttle"]["skipped"] > 0.3, "the share")
        wait_for(lambda: witness.telemetry()["skipped"].get("door", 0) > 5, "frames that are left out")
        (zone / "temp").write_text("60000\n")
        with timed(record_property, "recovered"):
            wait_for(lambda: witness.telemetry()["throttle"]["skipped"] == 0, "the end")
        wait_for(lambda: witness.json_on(f"{BASE}/events/thermal")[-1]["reason_ended"] == "cooled", "the end")
        fresh.stop()
        witness.nothing_is_missing()
    assert witness.json_on(f"{BASE}/events/thermal")[0]["sensor"] == "tj-thermal"


def test_the_service_of_the_sensors_hangs(tmp_path: Path, fresh: Daemon, witness: Witness) -> None:
    """jetson-stats by a stand-in that never returns; psutil is told instead, and the end is not held up."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "jtop.sock").touch()
    (tmp_path / "jtop.py").write_text(HANGING_JTOP)
    fresh.prefix = (*in_place_of(Path("/run"), run), "env", f"PYTHONPATH={ROOT}:{tmp_path}")
    with fresh:
        witness.wait_for_new_steps()
        wait_for(lambda: witness.telemetry()["hardware"]["source"] == "psutil", "psutil")
        fresh.stop()
        witness.nothing_is_missing()


def test_the_clock_is_set(tmp_path: Path, fresh: Daemon, witness: Witness, camera: FakeHttpCamera) -> None:
    """From 1970 to today, a day back, a year on, amid an event: it goes on, and lasts as long as it does.

    A namespace has no time of day of its own, so Python's is replaced in the daemon and its capture process.
    """
    offset = tmp_path / "offset"
    (tmp_path / "sitecustomize.py").write_text(SET_CLOCK.format(str(offset)))
    fresh.environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    offset.write_text(str(1000 - time.time()))
    with fresh:
        wait_for(lambda: len(witness.events()) > 3, "an event")
        began = time.monotonic()
        for jump in (0, -86_400, 31_536_000, 0):
            received = len(witness.events())
            offset.write_text(str(jump))
            wait_for(lambda received=received: len(witness.events()) > received + 5, "updates")  # type: ignore[misc]
        camera.bright = False
        wait_for(witness.ends, "the end")
        lasted = time.monotonic() - began
        fresh.stop()
        witness.nothing_is_missing()
    first, *_, last = witness.events()
    assert first["started"].startswith("1970-01-01T00:1")
    assert last["reason_ended"] == "score"
    assert last["event_id"] == first["event_id"]  # neither ended it
    assert lasted - 2.0 < last["duration"] < lasted + 2.0  # nor stretched it
    assert last["started"][:13] == datetime.now(timezone.utc).isoformat()[:13]
