"""The part of RTSP that `rtsp_check` needs: DESCRIBE and SETUP, with Basic and Digest login. Shell over sockets.

RFC 2326, with the authentication of RFC 2617.
"""

import base64
import re
import socket
import ssl
from collections.abc import Sequence
from hashlib import md5
from types import TracebackType
from typing import BinaryIO, NamedTuple
from urllib.parse import SplitResult, unquote

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
LINE_BYTES, MAX_HEADERS, BODY_BYTES = 4096, 100, 65_536  # limits on what a server makes us read

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]*))')

Challenge = tuple[str, dict[str, str]]  # how to log in: the scheme in lower case, and its parameters


class RtspReply(NamedTuple):
    """A server's reply: its status, the logins that it offers, its headers as they came, and its body."""

    status: int
    challenges: tuple[Challenge, ...]
    headers: tuple[str, ...] = ()
    body: bytes = b""


class RtspSession:
    """One connection to an RTSP server, which logs in when asked to. A context manager; raises OSError, ValueError."""

    def __init__(self, parts: SplitResult, seconds: float) -> None:
        self.address = (
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' * bool(parts.query)}{parts.query}"
        )
        self._connection = _connect(parts, seconds)
        self._stream = self._connection.makefile("rb")
        self._user, self._password = parts.username, unquote(parts.password or "")
        self._sequence = 0
        self._challenges: tuple[Challenge, ...] | None = None  # the server's, once it has asked for a login

    def __enter__(self) -> "RtspSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def request(self, method: str, address: str, headers: str = "") -> RtspReply:
        """The server's reply. Raises ValueError for what is no reply, and for a login that we do not support."""
        reply = self._exchange(method, address, headers)
        if reply.status != 401 or self._user is None or self._challenges is not None:
            return reply
        self._challenges = reply.challenges
        return self._exchange(method, address, headers)

    def tear_down(self, setup: RtspReply) -> None:
        """Cancel what was set up, without waiting for the reply."""
        session = header(setup.headers, "session").partition(";")[0]
        if setup.status == 200 and session:
            self._send("TEARDOWN", self.address, f"Session: {session}")

    def _exchange(self, method: str, address: str, headers: str) -> RtspReply:
        self._send(method, address, headers)
        return _read_reply(self._stream)

    def _send(self, method: str, address: str, headers: str) -> None:
        self._sequence += 1
        lines = [f"{method} {address} RTSP/1.0", f"CSeq: {self._sequence}", *filter(None, [headers])]
        if self._challenges is not None:
            login = _authorization(self._challenges, method, address, unquote(str(self._user)), self._password)
            if not login:
                raise ValueError("a login that we do not support")
            lines.append(f"Authorization: {login}")
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode())


def parse_head(status: str, headers: Sequence[str]) -> RtspReply:
    """A reply without its body. Raises ValueError where the status line is not one of RTSP."""
    found = re.match(r"RTSP/\d\.\d (\d{3})\b", status, re.ASCII)
    if not found:
        raise ValueError(f"no status line of RTSP: {status[:40]!r}")
    split = [line.partition(":") for line in headers]
    challenges = tuple(parse_challenge(value) for name, _, value in split if name.lower() == "www-authenticate")
    return RtspReply(int(found[1]), challenges, tuple(headers))


def parse_challenge(value: str) -> Challenge:
    """The value of a WWW-Authenticate header: the scheme in lower case, and its parameters."""
    scheme, _, rest = value.strip().partition(" ")
    return scheme.lower(), {name.lower(): plain or bare for name, plain, bare in _PARAMETER.findall(rest)}


def header(headers: Sequence[str], name: str) -> str:
    """The value of the first header of that name, given in lower case; empty where there is none."""
    split = (line.partition(":") for line in headers)
    return next((value.strip() for key, _, value in split if key.strip().lower() == name), "")


def video_address(described: RtspReply, requested: str) -> str:
    """The address to set up a stream's video: that of the first `m=video` in its SDP (RFC 2326, C.1.1)."""
    base = header(described.headers, "content-base") or header(described.headers, "content-location") or requested
    sections = re.split(r"(?m)^m=", described.body.decode("utf-8", "replace"))
    video = next((section for section in sections[1:] if section.startswith("video")), "")
    found = re.search(r"(?m)^a=control:([!-~]{1,1000})\s*$", video)
    control = found[1] if found else "*"
    if "://" in control:
        return control
    base = base if re.fullmatch(r"[!-~]{1,1000}", base) else requested
    return base if control == "*" else f"{base.rstrip('/')}/{control}"


def digest(offered: dict[str, str], method: str, address: str, user: str, password: str) -> str:
    """RFC 2069's digest, which every RTSP server accepts (RFC 2617's `qop` is optional for the client)."""
    realm, nonce = offered.get("realm", ""), offered.get("nonce", "")
    ours, requested = _md5(f"{user}:{realm}:{password}"), _md5(f"{method}:{address}")
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": address}
    fields["response"] = _md5(f"{ours}:{nonce}:{requested}")
    if "opaque" in offered:
        fields["opaque"] = offered["opaque"]
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


def _connect(parts: SplitResult, seconds: float) -> socket.socket:
    host = str(parts.hostname)
    connection = socket.create_connection((host, parts.port or PORTS[parts.scheme]), seconds)
    if parts.scheme == "rtsp":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own certificates
    return context.wrap_socket(connection, server_hostname=host)


def _read_reply(stream: BinaryIO) -> RtspReply:
    status = stream.readline(LINE_BYTES)
    headers: list[str] = []
    while (line := stream.readline(LINE_BYTES)).strip() and len(headers) < MAX_HEADERS:
        headers.append(line.decode("latin-1").strip())
    body = stream.read(min(_content_length(headers), BODY_BYTES))
    return parse_head(status.decode("latin-1"), headers)._replace(body=body)


def _content_length(headers: Sequence[str]) -> int:
    """The announced length of the body; 0 where there is none."""
    for line in headers:
        name, _, value = line.partition(":")
        if name.lower() == "content-length" and re.fullmatch(r"\s*\d{1,9}\s*", value, re.ASCII):
            return int(value)
    return 0


def _authorization(challenges: Sequence[Challenge], method: str, address: str, user: str, password: str) -> str | None:
    """The Authorization header for one of the challenges that we support."""
    offered = dict(challenges)
    if "digest" in offered and offered["digest"].get("algorithm", "MD5").upper() == "MD5":
        return digest(offered["digest"], method, address, user, password)
    if "basic" in offered:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return None


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
