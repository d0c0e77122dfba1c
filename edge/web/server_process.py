"""The page's process: `python -m edge.web.server_process CHANNEL MEMORY`, two inherited descriptors. Shell.

It ends when the daemon closes the channel.
"""

import asyncio
import os
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from edge import threads
from edge.web import messages, passwords
from edge.web.application import application
from edge.web.daemon_questions import DaemonQuestions, TellDaemon
from edge.web.messages import MessageError, PageMessage
from edge.web.page_settings import PageSettings
from edge.web.passwords import PasswordError
from edge.web.viewers import Viewers

END_SECONDS = 1.0


class ServerError(Exception):
    """The page cannot be served; the message names the remedy."""


def main(channel: int, memory: int) -> None:
    """Serve until the daemon closes the channel; pictures are in the memory."""
    os.nice(threads.NICENESS)
    with suppress(KeyboardInterrupt, ConnectionError):
        asyncio.run(_run(socket.socket(fileno=channel), memory))


async def _run(channel: socket.socket, memory: int) -> None:
    reader, writer = await asyncio.open_connection(sock=channel, limit=1 << 20)

    def tell(header: dict[str, object]) -> None:
        writer.write(messages.pack(header))

    try:
        first = await _message(reader)
        if first is None or first.header.pop("kind", "") != "settings":
            return
        await _serve(PageSettings.from_json(first.header), memory, reader, writer, tell)
    except ServerError as error:
        tell({"kind": "fault", "text": str(error)})
        with suppress(ConnectionError):
            await writer.drain()
    finally:
        writer.close()


async def _serve(
    settings: PageSettings, memory: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tell: TellDaemon
) -> None:
    """Serve until the channel ends. Raises ServerError."""
    viewers, questions = Viewers(tell), DaemonQuestions(tell)
    context = _tls(settings)
    _check_password(settings)
    runner = web.AppRunner(
        application(settings, viewers, questions), access_log=None, handle_signals=False, shutdown_timeout=END_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.address, settings.port, ssl_context=context).start()
    except OSError as error:
        raise ServerError(
            f"{settings.address} port {settings.port} is unavailable ({os.strerror(error.errno or 0)}): set another "
            "port in [web], or stop the program that uses it"
        ) from error
    writer.write(messages.pack({"kind": "listening", "text": _address(settings)}))
    pictures = _Pictures(memory)
    while (message := await _message(reader)) is not None:
        if message.header.get("kind") == "pixels":
            message = await asyncio.to_thread(pictures.encoded, message)
            tell({"kind": "taken"})  # another picture is welcome
        (questions if message.header.get("kind") == "answer" else viewers).take(message)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(runner.cleanup(), END_SECONDS)


async def _message(reader: asyncio.StreamReader) -> PageMessage | None:
    """The daemon's next message; None where it has closed the channel."""
    try:
        header, body = messages.lengths(await reader.readexactly(messages.LENGTHS.size))
        return messages.parse(await reader.readexactly(header), await reader.readexactly(body))
    except (asyncio.IncompleteReadError, ConnectionError, MessageError):
        return None


class _Pictures:
    """What the daemon hands over in memory. OpenCV is loaded with the first picture: many devices never show one."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._shared: Any = None

    def encoded(self, message: PageMessage) -> PageMessage:
        """A picture as browsers get it."""
        from edge.web import picture_encoding, shared_pixels

        if self._shared is None:
            self._shared = shared_pixels.SharedPixels(self._memory)
        return picture_encoding.encoded(message.header, self._shared.read())


def _tls(settings: PageSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer, None without a certificate; an encrypted key is refused. Raises ServerError."""
    if not settings.cert:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings.cert, settings.key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ServerError(f"cert and key of [web] cannot be used ({error}): check both files") from error
    return context


def _check_password(settings: PageSettings) -> None:
    """Raise ServerError where nobody could log in."""
    if settings.password_file:
        try:
            passwords.read(Path(settings.password_file))
        except PasswordError as error:
            raise ServerError(str(error)) from error


def _address(settings: PageSettings) -> str:
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    secure = "" if settings.cert or not settings.password_file else ", the password travels unencrypted without cert"
    return f"{'https' if settings.cert else 'http'}://{host}:{settings.port}/{secure}"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
