"""Takes the pictures of the live page that are in docs/: python -m scripts.page_pictures [FOLDER].

A real daemon, broker and Chromium look at the demo clip, over and over. It takes some minutes; look at what comes out.
"""

import asyncio
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

from edge.shipped_files import asset_path
from tests.support import page_visit
from tests.support.broker import Broker
from tests.support.chromium import Tab, chromium
from tests.support.ports import free_port

CONFIG = """
[device]
name = "court"
[cameras.court]
source = "{clip}"
loop = true
[cameras.court.zones]
left = [[0.0, 0.3], [0.5, 0.3], [0.5, 1.0], [0.0, 1.0]]
[cameras.court.zones.hoop]
points = [[0.55, 0.65], [0.95, 0.7], [0.9, 0.97], [0.52, 0.97]]
min_duration = 1.5
[mqtt]
host = "127.0.0.1"
port = {broker}
[outbox]
directory = "{folder}/state"
[history]
enabled = true
[web]
enabled = true
port = {port}
"""
EVENTS = 3  # that are there before the pictures are taken
DESK, HIGH, TELEPHONE = (1180, 760), (1180, 1010), (390, 780)


def main() -> None:
    """Take them all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    with tempfile.TemporaryDirectory() as made:
        broker = Broker(Path(made))
        broker.start()
        port, config = free_port(), Path(made) / "config.toml"
        clip = asset_path("demo/basketball.mp4")
        config.write_text(CONFIG.format(clip=clip, broker=broker.port, folder=made, port=port))
        daemon = subprocess.Popen([sys.executable, "-m", "edge", "run", "--config", str(config)])
        try:
            asyncio.run(_take(f"http://127.0.0.1:{port}/", Path(made) / "profile", folder))
        finally:
            daemon.terminate()
            daemon.wait()
            broker.stop()


async def _take(address: str, profile: Path, folder: Path) -> None:
    async with chromium(profile) as tab:
        await _look(tab, DESK, "light")
        while not await tab.value("document.querySelector('#motion') !== null"):
            await tab.open(address)
            await asyncio.sleep(1)
        await tab.until("document.querySelector('#broker').textContent === 'broker connected'")
        await page_visit.show(tab, "events")
        again = "document.querySelector('#filter').requestSubmit(), document.querySelectorAll('#events li').length"
        await tab.until(f"({again}) > {EVENTS}")
        await page_visit.show(tab, "live")
        await page_visit.click(tab, "#motion")
        await tab.until("document.querySelector('canvas').dataset.motion === 'true'")
        await tab.until("document.querySelector('.seen').textContent.includes('#')")
        await _shoot(tab, folder / "live-page.jpg")
        await _look(tab, HIGH, "light")
        await page_visit.show(tab, "tune")
        hoop = "[...document.querySelectorAll('#shapes button')].find(one => one.textContent.startsWith('hoop'))"
        await tab.until(f"{hoop} !== undefined")
        await tab.value(f"{hoop}.click()")
        await asyncio.sleep(3)
        await _shoot(tab, folder / "live-page-tune.jpg")
        await _look(tab, DESK, "dark")
        await page_visit.show(tab, "events")
        await asyncio.sleep(2)
        await _shoot(tab, folder / "live-page-events.jpg")
        await page_visit.find_a_clip(tab)
        await tab.value(
            "document.querySelector('#event video').loop = true, document.querySelector('#event video').play()"
        )
        await tab.until("document.querySelector('#event .tube rect') !== null")
        await tab.value("document.querySelector('#event video').pause()")
        await _shoot(tab, folder / "live-page-event.jpg")
        await tab.value("document.querySelector('#event').close()")
        await _look(tab, TELEPHONE, "light")
        await page_visit.show(tab, "health")
        await tab.until("document.querySelector('#health').textContent.includes('OpenCV')")
        await _shoot(tab, folder / "live-page-telephone.jpg")


async def _look(tab: Tab, size: tuple[int, int], scheme: str) -> None:
    width, height = size
    given = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == TELEPHONE}
    await tab.do("Emulation.setDeviceMetricsOverride", **given)
    await tab.do("Emulation.setScrollbarsHidden", hidden=True)
    await tab.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


async def _shoot(tab: Tab, path: Path) -> None:
    found = await tab.do("Page.captureScreenshot", format="jpeg", quality=78)
    path.write_bytes(base64.b64decode(found["data"]))


if __name__ == "__main__":
    main()
