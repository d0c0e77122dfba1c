"""A small real server for the camera tests, run as a process.

Usage: `python stream_server.py rtsp|rtsp-udp|rtsp-silent|tcp PORT FILE.ts [USER:PASSWORD]`

It plays an MPEG transport stream over and over, in real time, to any number of clients: as an RTSP session with RTP
interleaved in TCP (RFC 2326, payload type 33), or over UDP alone (`rtsp-udp`; `rtsp-silent` is one whose packets get
lost), or as plain bytes. Prints `ready` once it listens.
"""

import base64
import itertools
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PACKET_BYTES = 7 * 188  # whole transport stream packets, as RTP carries them
SECONDS = 2.0  # the stream lasts so long
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"


class Server(socketserver.ThreadingTCPServer):
    """One thread per client; dies at once, port free again, when the process is killed."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, protocol: str, port: int, stream: bytes, login: str | None) -> None:
        super().__init__(("127.0.0.1", port), PlainClient if protocol == "tcp" else RtspClient)
        self.protocol = protocol
        self.stream = stream
        self.login = login


class PlainClient(socketserver.BaseRequestHandler):
    """Gets the bytes and says nothing."""

    server: Server

    def handle(self) -> None:
        for packet in paced(self.server.stream):
            try:
                self.request.sendall(packet)
            except OSError:
                return


class RtspClient(socketserver.StreamRequestHandler):
    """Asks, logs in where it must, plays."""

    server: Server

    def handle(self) -> None:
        while request := self.read_request():
            method, headers = request
            if self.server.login and headers.get("authorization") != f"Basic {encoded(self.server.login)}":
                self.reply(headers, "401 Unauthorized", 'WWW-Authenticate: Basic realm="test"\r\n')
            elif method == "DESCRIBE":
                self.reply(headers, "200 OK", "Content-Type: application/sdp\r\n", SDP)
            elif method == "SETUP" and ("TCP" in headers["transport"]) != (self.server.protocol == "rtsp"):
                self.reply(headers, "461 Unsupported Transport", "")
            elif method == "SETUP":
                self.set_up(headers)
            elif method == "PLAY":
                self.reply(headers, "200 OK", "Range: npt=0-\r\n")
                threading.Thread(target=self.play, daemon=True).start()
            else:
                self.reply(headers, "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")

    def set_up(self, headers: dict[str, str]) -> None:
        """Give what is asked for; over UDP the packets come from a port of their own."""
        answered = "RTP/AVP/TCP;unicast;interleaved=0-1"
        if found := re.search(r"client_port=(\d+)-", headers["transport"]):
            self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.datagrams.bind(("127.0.0.1", 0))
            self.theirs = ("127.0.0.1", int(found[1]))
            port = self.datagrams.getsockname()[1]
            answered = f"RTP/AVP;unicast;{found[0]}{int(found[1]) + 1};server_port={port}-{port + 1}"
        self.reply(headers, "200 OK", f"Transport: {answered}\r\n")

    def send(self, rtp: bytes) -> None:
        if self.server.protocol == "rtsp":
            self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
        elif self.server.protocol == "rtsp-udp":
            self.datagrams.sendto(rtp, self.theirs)

    def read_request(self) -> tuple[str, dict[str, str]] | None:
        lines = []
        while line := self.next_line():
            lines.append(line)
        if not lines:
            return None
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return lines[0].split()[0], {name.lower(): value for name, value in headers.items()}

    def next_line(self) -> str:
        """The next line of a request; RTCP packets that the client interleaves are skipped."""
        while (first := self.rfile.read(1)) == b"$":
            _, length = struct.unpack(">BH", self.rfile.read(3))
            self.rfile.read(length)
        return (first + self.rfile.readline()).decode().strip()

    def reply(self, headers: dict[str, str], status: str, extra: str, body: str = "") -> None:
        head = f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n{extra}"
        self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def play(self) -> None:
        start = time.monotonic()
        for number, packet in enumerate(paced(self.server.stream)):
            clock = int((time.monotonic() - start) * 90000)
            rtp = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, clock & 0xFFFFFFFF, 1) + packet
            try:
                self.send(rtp)
            except OSError:
                return


def encoded(login: str) -> str:
    return base64.b64encode(login.encode()).decode()


def paced(stream: bytes) -> Iterator[bytes]:
    """The stream in packets, over and over, each when it is due."""
    packets = [stream[offset : offset + PACKET_BYTES] for offset in range(0, len(stream), PACKET_BYTES)]
    start = time.monotonic()
    for number, packet in enumerate(itertools.cycle(packets)):
        time.sleep(max(0.0, start + number * SECONDS / len(packets) - time.monotonic()))
        yield packet


def main(protocol: str, port: str, path: str, login: str | None = None) -> None:
    with Server(protocol, int(port), Path(path).read_bytes(), login) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
