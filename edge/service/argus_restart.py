"""Restarts NVIDIA's camera service where it keeps CSI cameras from coming back. Shell over systemd.

The service's user may not do that by itself: `install.sh` gives the right, as a rule of polkit where its version has
rules for single units, and as a path unit of systemd where it has not (0.105, in JetPack 5 and 6).
"""

import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from edge import threads
from edge.cameras.argus import SERVICE
from edge.cameras.feeds import Feed, LiveFeed
from edge.threads import ThreadError

PATH_UNIT = Path("/etc/systemd/system/korsal-edge-argus.path")
REQUEST_FILE = "restart-argus"  # in systemd's RUNTIME_DIRECTORY
MIN_SECONDS = 300.0  # between two restarts; doubled while they do not help
MAX_SECONDS = 3600.0
SYSTEMD_SECONDS = 60.0  # for a restart
POLL_SECONDS = 0.1
REMEDY = f"run install.sh again, which gives the right to, or: sudo systemctl restart {SERVICE}"

log = logging.getLogger(__name__)

Restart = Callable[[], str]  # restarts the service; "" or what went wrong


class ArgusRestart:
    """Decides when the service is restarted: never while a CSI camera is online, rarely, and only where allowed."""

    def __init__(self, allowed: bool, restart: Restart | None = None) -> None:
        self.allowed = allowed
        self._restart = restart or restart_service
        self._pause = MIN_SECONDS
        self._not_before = 0.0  # monotonic, s
        self._running = False

    def check(self, feeds: Iterable[Feed], now: float) -> None:
        """Restart the service where a camera waits for it, in a thread of its own."""
        cameras = [feed.camera for feed in feeds if isinstance(feed, LiveFeed) and feed.camera.source.kind == "csi"]
        if any(camera.state == "online" for camera in cameras):
            self._pause = MIN_SECONDS
            return
        stuck = [camera.name for camera in cameras if camera.stuck_service == SERVICE]
        if not (self.allowed and stuck) or self._running or now < self._not_before:
            return
        self._not_before, self._pause = now + self._pause, min(MAX_SECONDS, 2 * self._pause)
        self._running = True
        try:
            threads.start("argus", self._run, ", ".join(stuck))
        except ThreadError as error:
            self._running = False
            log.error("%s could not be restarted: %s", SERVICE, error)

    def _run(self, cameras: str) -> None:
        try:
            if problem := self._restart():
                log.error("%s could not be restarted (%s): %s", SERVICE, problem, REMEDY)
            else:
                log.warning("%s was restarted, because it kept cameras from opening: %s", SERVICE, cameras)
        finally:
            self._running = False


def restart_service() -> str:
    """Restart NVIDIA's camera service; "" or what went wrong. Takes seconds."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return _through_path_unit(Path(folder) / REQUEST_FILE) if folder and PATH_UNIT.exists() else _through_systemctl()


def _through_systemctl() -> str:
    command = ["systemctl", "--no-ask-password", "restart", f"{SERVICE}.service"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())
    return " ".join(done.stderr.split()) or f"systemctl: status {done.returncode}" if done.returncode else ""


def _through_path_unit(request: Path) -> str:
    """Write the file for which the unit waits; the unit removes it after the restart."""
    try:
        request.touch()
    except OSError as error:
        return f"{request}: {error.strerror}"
    deadline = time.monotonic() + SYSTEMD_SECONDS
    while request.exists():
        if time.monotonic() > deadline:
            request.unlink(missing_ok=True)
            return f"{PATH_UNIT.name} does not react to {request}"
        time.sleep(POLL_SECONDS)
    return ""
