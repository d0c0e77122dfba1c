"""Hostile cameras: small servers on loopback that send whatever a test wants."""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.sources import Frame

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
Conversation = Callable[[socket.socket, str], None]  # the connection, and the path that is asked for


class HostileCamera:
    """Takes every connection, reads the HTTP request if there is one, and lets `converse` respond.

    `asked`: the paths that were asked for, in order. `url` begins with `http`; `plain` is the same over bare TCP.
    """

    def __init__(self, converse: Conversation, speaks_first: bool = False) -> None:
        self.asked: list[str] = []
        self._converse, self._speaks_first = converse, speaks_first
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, IndexError):
            path = "" if self._speaks_first else client.recv(65_536).split()[1].decode()
            self.asked.append(path)
            self._converse(client, path)

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def hostile(converse: Conversation, speaks_first: bool = False) -> Iterator[HostileCamera]:
    camera = HostileCamera(converse, speaks_first)
    try:
        yield camera
    finally:
        camera.close()


def document(content: bytes, kind: str = "text/plain") -> bytes:
    """An answer of HTTP."""
    return f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def part(jpeg: bytes) -> bytes:
    """One picture of a multipart answer."""
    return f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n"


def jpeg(width: int, height: int, value: int = 0) -> bytes:
    done, found = cv2.imencode(".jpg", np.full((height, width, 3), value, np.uint8))
    assert done
    return found.tobytes()


def red_video(path: Path) -> Path:
    """A video that a camera must not be able to have played."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    assert writer.isOpened()
    for _ in range(30):
        writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))
    writer.release()
    return path


def is_red(frame: Frame) -> bool:
    blue, _, red = frame.image.reshape(-1, 3).mean(axis=0)
    return bool(red > 200 > 60 > blue)


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=t\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r\na=control:track\r\n"
)


def endless_unit(client: socket.socket, _: str) -> None:
    """Plays one picture of H.264 over RTSP in fragments (RFC 6184, FU-A) of which none is the last."""
    with client.makefile("rb") as requests:
        while request := list(iter(lambda: requests.readline().strip(), b"")):
            method = request[0].split()[0].decode()
            number = next(line for line in request if line.lower().startswith(b"cseq")).decode()
            body = SDP if method == "DESCRIBE" else ""
            headers = {
                "DESCRIBE": "Content-Type: application/sdp",
                "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1",
                "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
            }.get(method, "Session: 1")
            answer = f"RTSP/1.0 200 OK\r\n{number}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            client.sendall(answer.encode())
            if method == "PLAY":
                break
        else:
            return
    for sequence in itertools.count():
        fragment = bytes([0x7C, 0x05 if sequence else 0x85]) + b"A" * 60_000
        packet = struct.pack(">BBHII", 0x80, 96, sequence & 0xFFFF, 90_000, 1) + fragment
        client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
