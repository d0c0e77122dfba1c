"""A fake camera: MJPEG over HTTP on loopback, which a test steers, unplugs and plugs in again."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import tiles
from edge.tiles import WHOLE, Region, Tiling

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


Mode = Literal["moving", "frozen", "silent", "rubbish"]


class FakeHttpCamera:
    """Bright or dark, moving, frozen, silent or sending rubbish, in any size. Serves any number of clients.

    `seconds`: between two frames.
    """

    def __init__(self, seconds: float = 0.05) -> None:
        self.bright = True
        self.mode: Mode = "moving"
        self.size = (48, 64)  # height, width
        self.lit: Region = WHOLE  # the part that is bright
        self._seconds = seconds
        self._port = 0
        self._clients: list[socket.socket] = []
        self._gone = threading.Event()
        self._listener = self._bound()
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/live.mjpg"

    def go_away(self) -> None:
        """Unplugged: connections break, and nobody listens. The port stays bound: no other program gets it."""
        self._gone.set()
        for one in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = self._bound()

    def come_back(self) -> None:
        """At the same address as before."""
        self._gone = threading.Event()
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener, self._gone), daemon=True).start()

    def _bound(self) -> socket.socket:
        """To the address, without listening there."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", self._port))
        self._port = made.getsockname()[1]
        return made

    def _accept(self, listener: socket.socket, gone: threading.Event) -> None:
        while not gone.is_set():
            with contextlib.suppress(OSError):
                client = listener.accept()[0]
                self._clients.append(client)
                threading.Thread(target=self._play, args=(client, gone), daemon=True).start()

    def _play(self, client: socket.socket, gone: threading.Event) -> None:
        number = 0
        with client, contextlib.suppress(OSError):
            client.recv(65_536)
            client.sendall(HEAD)
            while not gone.wait(self._seconds):
                number += self.mode != "frozen"
                if self.mode != "silent":
                    client.sendall(self._part(number))

    def _part(self, number: int) -> bytes:
        jpeg = cv2.imencode(".jpg", self._picture(number))[1].tobytes()
        if self.mode == "rubbish":
            jpeg = bytes((7 * place + number) % 256 for place in range(len(jpeg)))
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)

    def _picture(self, number: int) -> NDArray[np.uint8]:
        """No two are the same."""
        height, width = self.size
        image = np.zeros((height, width, 3), np.uint8)
        if self.bright:
            ((left, top, right, bottom),) = tiles.cut((width, height), Tiling(self.lit))
            image[top:bottom, left:right] = 255
        image[number % height, : width // 8] = 128
        return image

    def __enter__(self) -> "FakeHttpCamera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_away()
        self._listener.close()
