"""A running daemon with its live page, in a real browser. All of it is real."""

import asyncio
from pathlib import Path

import psutil
import pytest

from edge.history.encoders import available
from edge.web import passwords
from tests.support.chromium import PROGRAM, Tab, chromium
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.ports import free_port
from tests.support.real_daemon import Daemon, Witness
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"

PASSWORD = "open <sesame>"


def served(daemon: Daemon) -> str:
    """Configure the page, with a password and history; its address."""
    port = free_port()
    (daemon.folder / "hash").write_text(passwords.hashed(PASSWORD))
    web = f'[web]\nenabled = true\nport = {port}\npassword_file = "hash"\n'
    history = "[history]\nenabled = true\nseconds_before = 0.5\nseconds_after = 0.2\n"
    daemon.edit("[telemetry]", f"{web}{history}[telemetry]")
    return f"http://127.0.0.1:{port}/"


def page_processes(daemon: Daemon) -> list[psutil.Process]:
    children = psutil.Process(daemon.process.pid).children()
    return [one for one in children if "edge.web.server_process" in one.cmdline()]


def test_a_page_that_is_killed_costs_no_event_and_comes_back(fresh: Daemon, witness: Witness) -> None:
    address = served(fresh)
    with fresh:
        fresh.wait_for_log(f"live page: {address}")
        (process,) = page_processes(fresh)
        process.kill()
        witness.wait_for_new_steps()
        fresh.wait_for_log(f"live page: {address}", times=2)
        fresh.stop()
        assert not process.is_running()
    witness.nothing_is_missing()


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None or not any(available()), reason="chromium or an encoder is not on this machine")
def test_in_a_browser_one_logs_in_sees_boxes_and_plays_a_clip(
    fresh: Daemon, witness: Witness, camera: FakeHttpCamera, tmp_path: Path
) -> None:
    address = served(fresh)
    with fresh:
        fresh.wait_for_log(f"live page: {address}")
        witness.wait_for_new_steps()
        camera.bright = False  # that event ends, and gets a clip
        wait_for(witness.ends, "the end of an event")
        camera.bright = True
        asyncio.run(visit(address, tmp_path / "profile"))
        fresh.stop()
    witness.nothing_is_missing()


async def visit(address: str, profile: Path) -> None:
    async with chromium(profile) as tab:
        await tab.open(address)
        await log_in(tab, "wrong password")
        await tab.until("document.querySelector('[role=alert]')?.textContent.includes('not the password')")
        tab.complaints.clear()  # of the 401
        await log_in(tab, PASSWORD)
        await tab.until("document.querySelector('canvas')?.dataset.drawn > 3")
        await tab.until("document.querySelector('canvas').dataset.people > 0")
        assert await tab.value("document.querySelector('canvas').width") == 64
        await tab.until("document.querySelector('.seen').textContent.includes('Shine')")
        await tab.until("document.querySelector('#broker').textContent === 'broker connected'")
        await tab.value("location.hash = '#health'")
        await tab.until("document.querySelector('#health').textContent.includes('is connected, with MQTT 5.')")
        await tab.value("location.hash = '#events'")
        await find_a_clip(tab)
        await tab.until("document.querySelector('#event video').readyState >= 2")
        await tab.until("document.querySelector('#event video').play().then(() => true)")
        await tab.until("document.querySelector('#event video').currentTime > 0")
        assert await tab.value("document.querySelector('#event video').error") is None
        assert "scores in" in await tab.value("document.querySelector('#event-plot').getAttribute('aria-label')")
        await tab.value("document.querySelector('#logout').click()")
        await tab.until("location.pathname === '/login'")
        assert tab.complaints == []


async def log_in(tab: Tab, password: str) -> None:
    await tab.until("document.querySelector('#password') !== null")
    await tab.value(f"document.querySelector('#password').value = {password!r}")
    await tab.value("document.querySelector('form').requestSubmit()")


async def find_a_clip(tab: Tab) -> None:
    """Open the oldest event, and again until its clip is there."""
    oldest, dialog = "document.querySelector('#events li:last-child button')", "document.querySelector('#event')"
    await tab.until(f"{oldest} !== null")
    again = f"({dialog}.close(), {oldest}.click(), new Promise(done => setTimeout(done, 300)))"
    await tab.until(f"{again}.then(() => {dialog}.querySelector('video') !== null)")
