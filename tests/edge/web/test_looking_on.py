"""Browsers that look on at the page's real process: one, many, strangers, and over TLS."""

import asyncio
import json
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from edge.web import passwords
from edge.web.messages import Unpacker
from edge.web.viewers import MOST_VIEWERS
from tests.support import certificates
from tests.support.served_page import PASSWORD, ServedPage
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.kept_events"


async def look(page: ServedPage, words: str, origin: str | None = None) -> list[object]:
    """What a browser that says this first gets, until it is closed, or two pictures have come."""
    headers = {"Cookie": page.cookie, "Origin": origin or f"http://{page.host}"}
    found: list[object] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{page.host}/live", headers=headers) as socket,
    ):
        await socket.send_str(words)
        number = 0
        while len([one for one in found if isinstance(one, bytes)]) < 2:
            number += 1
            page.listen()
            if page.said("watched") and page.said("watched")[-1]["cameras"]:
                page.process.send({"kind": "state", "state": {"at": number, "health": {}}})
                page.process.send({"kind": "frame", "camera": "yard"}, b"not asked for")
                page.process.send({"kind": "frame", "camera": "door", "number": number}, b"picture")
            try:
                message = await socket.receive(timeout=0.2)
            except asyncio.TimeoutError:
                continue
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            found.append(message.data)
    return found


def test_a_viewer_gets_what_it_looks_at(page: ServedPage) -> None:
    found = asyncio.run(look(page, '{"watch": ["door"]}'))
    pictures = [message for one in found if isinstance(one, bytes) for message in Unpacker().add(one)]
    assert {(one.header["camera"], one.body) for one in pictures} == {("door", b"picture")}
    assert any(isinstance(one, str) and json.loads(one)["kind"] == "state" for one in found)
    wait_for(lambda: page.listen() and page.said("watched")[-1]["viewers"] == 0, "the end of the last look")
    assert page.said("watched")[-1]["cameras"] == []
    assert page.ask("/api/health").content["state"]["health"] == {}


@pytest.mark.parametrize("words", ["", "[]", "{}", '{"watch": 1}', "[" * 5000, json.dumps({"watch": ["x"] * 65})])
def test_a_viewer_that_talks_nonsense_is_left(page: ServedPage, words: str) -> None:
    assert not any(isinstance(one, bytes) for one in asyncio.run(look(page, words)))


async def crowd(page: ServedPage, size: int) -> list[int]:
    """The answers to so many browsers that look at the same time."""
    headers = {"Cookie": page.cookie, "Origin": f"http://{page.host}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, AsyncExitStack() as owned:
        found = []
        for _ in range(size):
            try:
                await owned.enter_async_context(session.ws_connect(f"http://{page.host}/live", headers=headers))
                found.append(101)
            except aiohttp.WSServerHandshakeError as error:
                found.append(error.status)
        return found


def test_a_crowd_of_viewers_is_bounded(page: ServedPage) -> None:
    wait_for(lambda: page.listen() and page.said("watched")[-1]["viewers"] == 0, "that nobody looks")
    assert asyncio.run(crowd(page, MOST_VIEWERS + 2)) == [101] * MOST_VIEWERS + [503, 503]


def test_no_other_page_looks_on(page: ServedPage) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(look(page, "", "http://evil.example"))


async def fifty(page: ServedPage) -> set[bytes]:
    """The pictures that fifty browsers get of one camera, one of them reading nothing."""
    headers = {"Cookie": page.cookie, "Origin": f"http://{page.host}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, AsyncExitStack() as owned:
        browsers = [
            await owned.enter_async_context(session.ws_connect(f"http://{page.host}/live", headers=headers))
            for _ in range(50)
        ]
        for one in browsers:
            await one.send_str('{"watch": ["door"]}')
        while not (page.listen() and page.said("watched")[-1]["viewers"] == 50 and page.said("watched")[-1]["cameras"]):
            await asyncio.sleep(0.05)
        page.process.send({"kind": "frame", "camera": "door"}, b"a picture for all")
        return {await _picture(one) for one in browsers[1:]}


async def _picture(browser: aiohttp.ClientWebSocketResponse[bool]) -> bytes:
    async for message in browser:
        if message.type is aiohttp.WSMsgType.BINARY:
            (found,) = Unpacker().add(message.data)
            return found.body
    raise AssertionError("it was closed")


def test_fifty_look_at_the_same_time(page: ServedPage) -> None:
    assert asyncio.run(fifty(page)) == {b"a picture for all"}


def test_over_tls_one_logs_in_and_looks_on(store: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = certificates.make(tmp_path_factory.mktemp("certificates"))
    (folder / "hash").write_text(passwords.hashed(PASSWORD))
    served = ServedPage(store, str(folder / "hash"), (), str(folder / "server.crt"), str(folder / "server.key"))
    with served:
        assert served.said("listening")[0]["text"] == f"https://127.0.0.1:{served.port}/"
        asyncio.run(over_tls(served, ssl.create_default_context(cafile=str(folder / "ca.crt"))))


async def over_tls(page: ServedPage, trusted: ssl.SSLContext) -> None:
    address, origin = f"https://{page.host}", {"Origin": f"https://{page.host}"}
    jar = aiohttp.CookieJar(unsafe=True)  # as of an IP address
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        form = {"password": PASSWORD}
        async with session.post(f"{address}/login", data=form, headers=origin, allow_redirects=False) as answer:
            assert answer.status == 303
            assert "Secure" in answer.headers["Set-Cookie"]
        async with session.get(f"{address}/api/events") as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{address}/live", headers=origin) as browser:
            await browser.send_str('{"watch": ["door"]}')
            while not (page.listen() and page.said("watched") and page.said("watched")[-1]["cameras"]):
                await asyncio.sleep(0.05)
            page.process.send({"kind": "frame", "camera": "door"}, b"a picture")
            assert await _picture(browser) == b"a picture"
    async with aiohttp.ClientSession() as stranger:  # who does not know that authority
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(f"{address}/login")
