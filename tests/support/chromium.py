"""A real Chromium without a window, told what to do through its DevTools protocol."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.waiting import PATIENCE

PROGRAM = shutil.which("chromium")


class Tab:
    """One page. `complaints`: what it has written to its console as errors."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket, self._asked = socket, 0
        self.complaints: list[str] = []

    async def do(self, method: str, **given: Any) -> dict[str, Any]:
        """Carry out a command of the protocol."""
        self._asked += 1
        await self._socket.send_json({"id": self._asked, "method": method, "params": given})
        while True:
            message = json.loads((await self._socket.receive(timeout=PATIENCE)).data)
            if message.get("id") == self._asked:
                return dict(message.get("result", {}))
            self._note(message)

    async def value(self, expression: str) -> Any:
        """What an expression of JavaScript, or its promise, comes to; None where it cannot be said."""
        given = {"awaitPromise": True, "returnByValue": True, "userGesture": True}  # as if somebody had clicked
        found = await self.do("Runtime.evaluate", expression=expression, **given)
        return found.get("result", {}).get("value")

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true; its value."""
        for _ in range(int(PATIENCE / 0.1)):
            if found := await self.value(expression):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain for {expression}; {self.complaints}")

    async def open(self, url: str) -> None:
        await self.do("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    def _note(self, message: dict[str, Any]) -> None:
        entry = message.get("params", {}).get("entry", {})
        if message.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error":
            self.complaints.append(json.dumps(message["params"])[:500])


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Tab]:
    """Start it, with a fresh `profile`."""
    assert PROGRAM is not None
    words = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    process = subprocess.Popen([*words, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession() as session:
            address = await _address(session, profile / "DevToolsActivePort")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.do("Runtime.enable")
                await tab.do("Log.enable")
                yield tab
    finally:
        process.kill()
        process.wait()


async def _address(session: aiohttp.ClientSession, file: Path) -> str:
    """Of the first tab's debugger."""
    for _ in range(int(PATIENCE / 0.1)):
        if file.exists() and (lines := file.read_text().splitlines()):
            async with session.get(f"http://127.0.0.1:{lines[0]}/json") as answer:
                for page in await answer.json():
                    if page["type"] == "page":
                        return str(page["webSocketDebuggerUrl"])
        await asyncio.sleep(0.1)
    raise AssertionError("chromium does not start")
