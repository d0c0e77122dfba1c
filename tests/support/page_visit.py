"""What somebody does on the live page, in a real browser, and what axe-core and the browser itself say of it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from tests.support.chromium import Tab

SERIOUS = ("serious", "critical")
RUN_AXE = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations.map(
    (one) => ({id: one.id, impact: one.impact, nodes: one.nodes.map((node) => node.html.slice(0, 120))})))"""
LAYOUT_SHIFT = """new Promise((done) => {
    const name = (node) => node ? (node.outerHTML ?? node.textContent).slice(0, 90) : "something that is gone";
    new PerformanceObserver((list) => done(list.getEntries().filter((one) => !one.hadRecentInput)
        .map((one) => [one.value, one.sources.map((source) => name(source.node))])))
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done([]), 500); })"""


def axe_core() -> str | None:
    """axe-core's program (MPL-2.0), which the tests install and nothing ships; None where it is not installed."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")


async def serious_faults(tab: Tab) -> list[dict[str, Any]]:
    """What axe-core finds serious in what is shown now, in light and in dark."""
    program = axe_core()
    if program is None:
        return []
    await tab.value(program)
    found = []
    for scheme in ("light", "dark"):
        await tab.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        violations = await tab.value(RUN_AXE)
        assert violations is not None, "axe-core did not run"
        found += [{"scheme": scheme, **one} for one in violations if one["impact"] in SERIOUS]
    return found


async def layout_shifts(tab: Tab) -> list[tuple[float, list[str]]]:
    """How much of the page has moved by itself since it was opened, as browsers count it, and what."""
    return [(float(value), list(nodes)) for value, nodes in await tab.value(LAYOUT_SHIFT)]


async def log_in(tab: Tab, password: str) -> None:
    await tab.until("document.querySelector('#password') !== null")
    await tab.value(f"document.querySelector('#password').value = {json.dumps(password)}")
    await tab.value("document.querySelector('form').requestSubmit()")


async def show(tab: Tab, view: str) -> None:
    await tab.value(f"location.hash = '#{view}'")
    await tab.until(f"!document.querySelector('#view-{view}').hidden")


async def press(tab: Tab, *keys: str) -> None:
    """Press keys one after the other, as on a keyboard."""
    for key in keys:
        for kind in ("keyDown", "keyUp"):
            await tab.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, text="\r" if key == "Enter" else "")


async def click(tab: Tab, selector: str) -> None:
    await tab.value(f"document.querySelector({json.dumps(selector)}).click()")


async def slide(tab: Tab, action: str, key: str, value: float) -> None:
    """Move a slider of an action."""
    slider = f"document.querySelector('[data-action={json.dumps(action)}] [data-key={key}]')"
    await tab.until(f"{slider} !== null")
    await tab.value(f"{slider}.value = {value}; {slider}.dispatchEvent(new Event('input'))")


async def draw_zone(tab: Tab, name: str) -> None:
    """Draw a zone with the keyboard: a triangle from the picture's middle to the right and down."""
    await tab.value(f"document.querySelector('#zone-name').value = {json.dumps(name)}")
    await tab.value("document.querySelector('#new-zone').requestSubmit()")
    await tab.until("document.activeElement.classList.contains('draws')")
    await press(tab, "Enter", *["ArrowRight"] * 4, "Enter", *["ArrowDown"] * 4, "Enter", "Escape")


async def set_zone(tab: Tab, field: str, value: object) -> None:
    """Change a field of the zone that is chosen: `name` or `stay`."""
    given = f"document.querySelector('.zone-fields [data-field={field}]')"
    await tab.until(f"{given} !== null")
    await tab.value(f"{given}.value = {json.dumps(value)}; {given}.dispatchEvent(new Event('change'))")


async def draw_mask(tab: Tab, *corners: tuple[float, float]) -> None:
    """Draw a mask with the pointer; corners are shares of a picture as wide as its place."""
    await click(tab, "#new-mask")
    place = "document.querySelector('.shapes').getBoundingClientRect()"
    await tab.value("document.querySelector('.shapes').scrollIntoView({block: 'center'})")
    rectangle = await tab.value(f"(({{x, y, width, height}}) => [x, y, width, height])({place})")
    for corner in corners:
        x, y = (rectangle[i] + corner[i] * rectangle[i + 2] for i in (0, 1))
        for kind in ("mousePressed", "mouseReleased"):
            await tab.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    await click(tab, "#shape-done")


async def find_a_clip(tab: Tab) -> None:
    """Open the oldest event, and again until its clip is there."""
    oldest, dialog = "document.querySelector('#events li:last-child button')", "document.querySelector('#event')"
    await tab.until(f"{oldest} !== null")
    again = f"({dialog}.close(), {oldest}.click(), new Promise(done => setTimeout(done, 300)))"
    await tab.until(f"{again}.then(() => {dialog}.querySelector('video') !== null)")
