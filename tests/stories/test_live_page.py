"""A running daemon with its live page, in a real browser. All of it is real."""

import asyncio
from pathlib import Path

import psutil
import pytest

from edge.config.config_file import load
from edge.config.schema_types import ZoneConfig
from edge.history.encoders import available
from edge.web import passwords
from tests.support import page_visit
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
        asyncio.run(visit(address, tmp_path / "profile", fresh.config))
        fresh.stop()
    witness.nothing_is_missing()


async def visit(address: str, profile: Path, file: Path) -> None:
    async with chromium(profile) as tab:
        await tab.open(address)
        assert await page_visit.serious_faults(tab) == []
        await page_visit.log_in(tab, "wrong password")
        await tab.until("document.querySelector('[role=alert]')?.textContent.includes('not the password')")
        tab.complaints.clear()  # of the 401
        await page_visit.log_in(tab, PASSWORD)
        await look_on(tab)
        await tune(tab, file)
        await play_a_clip(tab)
        shifts = await page_visit.layout_shifts(tab)
        assert sum(value for value, _ in shifts) < 0.1, shifts
        await page_visit.click(tab, "#logout")
        await tab.until("location.pathname === '/login'")
        assert tab.complaints == []


async def look_on(tab: Tab) -> None:
    await tab.until("document.querySelector('canvas')?.dataset.drawn > 3")
    await tab.until("document.querySelector('canvas').dataset.people > 0")
    assert await tab.value("document.querySelector('canvas').width") == 64
    await tab.until("document.querySelector('.seen').textContent.includes('Shine')")
    await tab.until("document.querySelector('#broker').textContent === 'broker connected'")
    assert await page_visit.serious_faults(tab) == []
    await page_visit.show(tab, "health")
    await tab.until("document.querySelector('#health').textContent.includes('is connected, with MQTT 5.')")
    assert await page_visit.serious_faults(tab) == []


async def tune(tab: Tab, file: Path) -> None:
    """Move a slider and apply it; draw a zone with the keyboard and a mask with the pointer; save all."""
    await page_visit.show(tab, "tune")
    await tab.until("document.querySelector('[data-action=Shine]')?.dataset.events > 0")
    await tab.until("document.querySelector('#tune-picture canvas').dataset.drawn > 1")
    before = file.read_text()
    await page_visit.slide(tab, "Shine", "start_score", 0.99)
    await page_visit.click(tab, "#tune-apply")
    await tab.until("document.querySelector('#tune-words').textContent.startsWith('In force now. Not saved')")
    assert file.read_text() == before
    await page_visit.slide(tab, "Shine", "start_score", 0.45)
    await page_visit.draw_zone(tab, "garden")
    await page_visit.set_zone(tab, "name", "yard")
    await page_visit.set_zone(tab, "stay", 2.5)
    await page_visit.draw_mask(tab, (0.5, 0.4), (0.52, 0.4), (0.5, 0.44))
    assert await page_visit.serious_faults(tab) == []
    await page_visit.click(tab, "#tune-save")
    await tab.until("document.querySelector('#tune-words').textContent.startsWith('Saved in config.toml')")
    assert set(before.splitlines()) <= set(file.read_text().splitlines())  # nothing else has changed
    door = load(file).cameras["door"]
    assert door.actions["Shine"].start_score == 0.45
    ((first, *others),) = door.mask
    assert first == pytest.approx((0.5, 0.4), abs=0.01)
    assert len(others) == 2
    assert door.zones == {"yard": ZoneConfig(points=((0.5, 0.5), (0.54, 0.5), (0.54, 0.54)), min_duration=2.5)}


async def play_a_clip(tab: Tab) -> None:
    """Find the event, say that it is right, and play its clip."""
    await page_visit.show(tab, "events")
    await page_visit.find_a_clip(tab)
    await tab.until("document.querySelector('#event video').readyState >= 2")
    await tab.until("document.querySelector('#event video').play().then(() => true)")
    await tab.until("document.querySelector('#event video').currentTime > 0")
    assert await tab.value("document.querySelector('#event video').error") is None
    await tab.value("document.querySelector('#event video').loop = true, document.querySelector('#event video').play()")
    await tab.until("document.querySelector('#event .tube rect')?.getAttribute('width') > 0")
    assert await tab.value("document.querySelector('#event .tube svg').viewBox.baseVal.width") == 64
    assert "scores in" in await tab.value("document.querySelector('#event-plot').getAttribute('aria-label')")
    await page_visit.click(tab, "#judge-right")
    words = "document.querySelector('#judgement').textContent"
    await tab.until(f"{words} === 'It is right. Its clip is among those to teach with.'")
    assert await page_visit.serious_faults(tab) == []
    await tab.value("document.querySelector('#event').close()")
    assert await tab.until("document.querySelectorAll('#timeline .bar').length")
    assert await page_visit.serious_faults(tab) == []
