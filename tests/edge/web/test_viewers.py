"""What one browser is sent, and until when; the sockets are made up, all else is real."""

import asyncio
import json
from typing import Any

import pytest

from edge.web import viewers
from edge.web.messages import PageMessage
from edge.web.viewers import Viewer, Viewers


class FakeSocket:
    """`stuck`: whether it ever takes a message."""

    def __init__(self, stuck: bool = False) -> None:
        self.sent: list[Any] = []
        self._stuck = stuck

    async def send_bytes(self, content: bytes) -> None:
        if self._stuck:
            await asyncio.Event().wait()
        self.sent.append(content)

    async def send_str(self, content: str) -> None:
        await self.send_bytes(content.encode())


def send(viewer: Viewer, socket: Any, turns: int) -> None:
    """Have it send for so many looks at whether it may."""
    left = iter([True] * turns)
    asyncio.run(viewer.send(socket, lambda: next(left, False)))


def test_only_the_newest_picture_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "CHECK_SECONDS", 0.01)
    socket = FakeSocket()
    viewer = Viewer()
    for number in range(100):
        viewer.put("door", b"%d" % number)
    viewer.put("yard", b"0")
    send(viewer, socket, 2)
    assert socket.sent == [b"99", b"0"]


def test_a_browser_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "SEND_SECONDS", 0.01)
    viewer = Viewer()
    viewer.put("door", b"1")
    send(viewer, FakeSocket(stuck=True), 1_000_000)  # returns at once, whatever it may


def test_nobody_is_sent_anything_once_logged_out() -> None:
    viewer, socket = Viewer(), FakeSocket()
    viewer.put("door", b"1")
    send(viewer, socket, 0)
    assert socket.sent == []


def test_a_viewer_says_what_it_shows() -> None:
    viewer = Viewer()
    assert viewer.understand('{"watch": ["door", "yard"]}')
    assert viewer.watched == {"door", "yard"}
    assert not viewer.understand('{"watch": {}}')
    assert viewer.understand('{"watch": []}')
    assert viewer.watched == frozenset()


def test_the_newest_state_is_kept_for_newcomers() -> None:
    told: list[dict[str, object]] = []
    all_of_them = Viewers(told.append)
    all_of_them.take(PageMessage({"kind": "state", "state": {"at": 1}}, b""))
    all_of_them.take(PageMessage({"kind": "of a newer version"}, b""))
    assert json.dumps(all_of_them.state) == '{"kind": "state", "state": {"at": 1}}'
    all_of_them.tell()
    assert told == []  # nothing has changed
