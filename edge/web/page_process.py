"""The daemon's side of the page's process: its start, what it is sent, what it says, its end. Shell."""

import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from edge.child_environment import child_environment
from edge.web.messages import MessageError, PageMessage, Unpacker, pack
from edge.web.page_settings import PageSettings
from edge.web.shared_pixels import PictureArrays, SharedPixels

PROGRAM = (sys.executable, "-m", "edge.web.server_process")
SEND_SECONDS = 5.0  # that it has to take a message
END_SECONDS = 2.0
MOST_READ = 1 << 16  # bytes at once


class PageProcessError(Exception):
    """The process cannot be started, or has ended; the message says why."""


class PageProcess:
    """A running server. It ends when its channel is closed."""

    def __init__(self, settings: PageSettings, program: Sequence[str] = PROGRAM) -> None:
        """Raises PageProcessError."""
        self._unpacker = Unpacker()
        try:
            self._channel, theirs = socket.socketpair()
        except OSError as error:
            raise PageProcessError(f"its process cannot be started ({error.strerror})") from error
        created: SharedPixels | None = None
        try:
            with theirs:
                self._pixels = created = SharedPixels.create()
                given = (theirs.fileno(), self._pixels.descriptor)
                self._process = subprocess.Popen(
                    [*program, *map(str, given)], pass_fds=given, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, start_new_session=True, env=child_environment(),
                )  # fmt: skip
        except OSError as error:
            self._channel.close()
            if created is not None:
                created.close()
            raise PageProcessError(f"its process cannot be started ({error.strerror})") from error
        self._channel.settimeout(SEND_SECONDS)
        self.send({"kind": "settings", **settings.to_json()})

    def send(self, header: Mapping[str, object], body: bytes = b"") -> None:
        """Send a message. Raises PageProcessError, after which the process is only to be ended."""
        try:
            self._channel.sendall(pack(header, body))
        except TimeoutError:
            raise PageProcessError("its process hangs") from None
        except MessageError as error:
            raise PageProcessError(str(error)) from error
        except OSError:
            raise PageProcessError("its process has ended") from None

    def send_pixels(self, header: Mapping[str, object], pixels: PictureArrays) -> None:
        """Send what is too large for the channel, in memory that both share. Not before the last has been taken.

        Raises PageProcessError, after which the process is only to be ended.
        """
        try:
            self._pixels.write(pixels)
        except OSError as error:
            raise PageProcessError(f"its pictures find no memory ({error.strerror})") from error
        self.send(header)

    def receive(self) -> list[PageMessage]:
        """What has arrived; does not wait. Raises PageProcessError where the process has ended or talks nonsense."""
        try:
            if not select.select([self._channel], [], [], 0)[0]:
                return []
            content = self._channel.recv(MOST_READ)
            if not content:
                raise PageProcessError("its process has ended")
            return list(self._unpacker.add(content))
        except (OSError, ValueError) as error:
            if isinstance(error, MessageError):
                raise PageProcessError(f"its process talks nonsense: {error}") from error
            raise PageProcessError("its process has ended") from None

    def close(self) -> None:
        """Have it end, and kill it where it does not."""
        self._channel.close()
        self._pixels.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
