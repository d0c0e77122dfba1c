"""When NVIDIA's camera service is restarted, and through what."""

import os
import threading
from pathlib import Path

import pytest

from edge.cameras.feeds import LiveFeed
from edge.cameras.live_camera import LiveSettings
from edge.service import argus_restart
from edge.service.argus_restart import MAX_SECONDS, MIN_SECONDS, ArgusRestart, restart_service
from edge.sources import parse
from tests.support.waiting import wait_for


def feed(uri: str, stuck: bool = False, online: bool = False) -> LiveFeed:
    made = LiveFeed("door", parse(uri), LiveSettings())
    made.camera.stuck_service = "nvargus-daemon" if stuck else ""
    made.camera.state = "online" if online else "offline"
    return made


class Service:
    """Counts its restarts."""

    def __init__(self, problem: str = "") -> None:
        self.restarts, self._problem = 0, problem

    def restart(self) -> str:
        self.restarts += 1
        return self._problem


def restarts_after(service: Service, policy: ArgusRestart, feeds: list[LiveFeed], now: float) -> int:
    policy.check(feeds, now)
    wait_for(lambda: not policy._running, "the restart")
    return service.restarts


@pytest.mark.parametrize(
    ("allowed", "feeds", "expected"),
    [
        (True, [feed("csi://0", stuck=True)], 1),
        (False, [feed("csi://0", stuck=True)], 0),
        (True, [feed("csi://0", stuck=True), feed("csi://1", online=True)], 0),  # which a restart would interrupt
        (True, [feed("csi://0", stuck=True), feed("rtsp://cam/x", online=True)], 1),
        (True, [feed("csi://0")], 0),  # offline for another reason
        (True, [], 0),
    ],
)
def test_when_it_is_restarted(allowed: bool, feeds: list[LiveFeed], expected: int) -> None:
    service = Service()
    assert restarts_after(service, ArgusRestart(allowed, service.restart), feeds, 1000.0) == expected


def test_it_is_restarted_ever_more_rarely_until_a_camera_is_online() -> None:
    service, stuck = Service(), [feed("csi://0", stuck=True)]
    policy, now, pauses = ArgusRestart(True, service.restart), 1000.0, []
    restarts_after(service, policy, stuck, now)
    for expected in range(2, 8):
        start = now
        while restarts_after(service, policy, stuck, now) < expected:
            now += MIN_SECONDS
        pauses.append(now - start)
    assert pauses == [MIN_SECONDS, 2 * MIN_SECONDS, 4 * MIN_SECONDS, 8 * MIN_SECONDS, MAX_SECONDS, MAX_SECONDS]
    policy.check([feed("csi://0", online=True)], now)
    restarts_after(service, policy, stuck, now + MAX_SECONDS)
    assert restarts_after(service, policy, stuck, now + MAX_SECONDS + MIN_SECONDS) == 9


def test_what_fails_is_logged_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    service = Service("Access denied")
    restarts_after(service, ArgusRestart(True, service.restart), [feed("csi://0", stuck=True)], 1000.0)
    assert "nvargus-daemon could not be restarted (Access denied): run install.sh again" in caplog.text


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down what it is asked; it refuses while the file `refuse` exists."""
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'[ ! -e {tmp_path}/refuse ] || {{ echo "Failed to restart: Access denied" >&2; exit 4; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def test_systemctl_is_asked_without_sudo_and_without_a_question(systemctl: Path) -> None:
    assert restart_service() == ""
    assert (systemctl / "asked").read_text() == "--no-ask-password restart nvargus-daemon.service\n"
    (systemctl / "refuse").touch()
    assert restart_service() == "Failed to restart: Access denied"


def test_no_systemctl_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "No such file" in restart_service()


def test_the_path_unit_is_used_where_it_is_installed(
    tmp_path: Path, systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argus_restart, "PATH_UNIT", tmp_path / "systemctl")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    request = tmp_path / "restart-argus"

    def unit() -> None:
        wait_for(request.exists, "the request")
        request.unlink()

    systemd = threading.Thread(target=unit)
    systemd.start()
    assert restart_service() == ""
    systemd.join()
    assert not (systemctl / "asked").exists()


def test_a_path_unit_that_does_not_react(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argus_restart, "PATH_UNIT", tmp_path)
    monkeypatch.setattr(argus_restart, "SYSTEMD_SECONDS", 0.0)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    assert "does not react" in restart_service()
    assert not (tmp_path / "restart-argus").exists()
