"""Who looks at the live page, and the newest picture that waits for each of them. Shell: WebSockets."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from edge.web.daemon_questions import TellDaemon
from edge.web.messages import PageMessage, pack

MOST_VIEWERS = 64
MOST_WATCHED = 64  # cameras of one viewer
SEND_SECONDS = 10.0  # that a browser has to take a message
CHECK_SECONDS = 5.0  # between two looks whether it is still logged in
LONGEST_WORDS = 8192  # bytes that a browser may say at once


class Viewers:
    """All of them. `notify`: tells the daemon which cameras are looked at, whenever that changes."""

    def __init__(self, notify: TellDaemon) -> None:
        self._notify = notify
        self._viewers: set[Viewer] = set()
        self._told: dict[str, object] = {"cameras": [], "motion": [], "viewers": 0}
        self.state: dict[str, object] | None = None  # the daemon's newest

    def take(self, message: PageMessage) -> None:
        """Give a message of the daemon's to everybody whom it concerns."""
        kind = message.header.get("kind")
        if kind == "state":
            self.state = message.header
            for viewer in self._viewers:
                viewer.put("", json.dumps(message.header))
        elif kind == "frame" and message.body:
            content, camera = pack(message.header, message.body), str(message.header.get("camera"))
            for viewer in self._viewers:
                if camera in viewer.watched:
                    viewer.put(camera, content)

    async def serve(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, allowed: Callable[[], bool]
    ) -> None:
        """Serve one browser until it leaves, is too slow, or is not `allowed` any more; `transport`: below `socket`."""
        viewer = Viewer()
        self._viewers.add(viewer)
        self.tell()
        if self.state is not None:
            viewer.put("", json.dumps(self.state))
        sender = asyncio.create_task(viewer.send(socket, allowed))
        sender.add_done_callback(lambda _: transport.abort())  # a browser that reads nothing would not let it close
        try:
            async for words in socket:
                if words.type is not WSMsgType.TEXT or not viewer.understand(words.data):
                    break
                self.tell()
        finally:
            viewer.left = True  # wait_for of Python 3.11 may swallow a cancellation
            sender.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await sender
            self._viewers.discard(viewer)
            self.tell()

    @property
    def full(self) -> bool:
        """Whether no more can be served."""
        return len(self._viewers) >= MOST_VIEWERS

    def tell(self) -> None:
        """Tell the daemon where something has changed."""
        cameras = sorted({camera for viewer in self._viewers for camera in viewer.watched})
        motion = sorted({camera for viewer in self._viewers for camera in viewer.watched & viewer.motion})
        wanted: dict[str, object] = {"cameras": cameras, "motion": motion, "viewers": len(self._viewers)}
        if wanted != self._told:
            self._told = wanted
            self._notify({"kind": "watched", **wanted})


class Viewer:
    """One browser: the cameras that it shows, of which also the motion map, and by camera what waits for it."""

    def __init__(self) -> None:
        self.watched: frozenset[str] = frozenset()
        self.motion: frozenset[str] = frozenset()
        self.left = False
        self._waiting: dict[str, str | bytes] = {}
        self._filled = asyncio.Event()

    def put(self, camera: str, content: str | bytes) -> None:
        """Keep a message to send; an earlier one of that camera gives way. `camera`: "" for the daemon's state."""
        self._waiting[camera] = content
        self._filled.set()

    def understand(self, words: str) -> bool:
        """Take which cameras it shows, and with which motion maps; False for what is nothing of the kind."""
        try:
            said = json.loads(words)
        except (ValueError, RecursionError):
            return False
        if not isinstance(said, dict):
            return False
        cameras, motion = said.get("watch"), said.get("motion", [])
        if not all(isinstance(one, list) and len(one) <= MOST_WATCHED for one in (cameras, motion)):
            return False
        self.watched, self.motion = frozenset(map(str, cameras or ())), frozenset(map(str, motion))
        return True

    async def send(self, socket: web.WebSocketResponse, allowed: Callable[[], bool]) -> None:
        """Send what waits, the newest only, until the browser takes nothing or is not `allowed` any more."""
        while allowed() and not self.left:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._filled.wait(), CHECK_SECONDS)
            self._filled.clear()
            waiting, self._waiting = self._waiting, {}
            for content in waiting.values():
                try:
                    send = socket.send_str(content) if isinstance(content, str) else socket.send_bytes(content)
                    await asyncio.wait_for(send, SEND_SECONDS)
                except (asyncio.TimeoutError, ConnectionError):
                    return
