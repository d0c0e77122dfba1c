"""Why a stream cannot be had: asks the camera's address, and its RTSP server, itself. Shell over sockets.

OpenCV tells only that it could not. Three questions are asked here: does anything answer at that address, what does the
server say to DESCRIBE (RFC 2326) with the user and password of the URL (RFC 2617, Basic and Digest), and does it SETUP
the video over TCP, or over UDP?
"""

import base64
import re
import socket
import ssl
import time
from collections.abc import Sequence
from hashlib import md5
from typing import BinaryIO, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from edge.sources import RtspTransport

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
LINE_BYTES, MAX_HEADERS, BODY_BYTES = 4096, 100, 65_536  # no server makes us read more

NAMES = {200: "OK", 400: "Bad Request", 461: "Unsupported Transport"}  # of RTSP's statuses, for people
UNAVAILABLE = 503
PAUSES = (0.5, 1.0)  # seconds before it is asked again
ABOUT_OTHERS = (401, 403, 404, 453, 454, 503)  # statuses that say nothing of the transport

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]*))')


class Answer(NamedTuple):
    """What an RTSP server said: its status, and what it asks for to log in (scheme and parameters)."""

    status: int
    challenges: tuple[tuple[str, dict[str, str]], ...]


def unreachable(url: str, seconds: float = CONNECT_SECONDS) -> str | None:
    """Why nothing answers at the stream's address, and the cure; None where something does."""
    parts = urlsplit(url)
    if parts.scheme == "udp":
        return None
    host, port = str(parts.hostname), parts.port or PORTS.get(parts.scheme, 0)
    try:
        socket.create_connection((host, port), seconds).close()
    except (socket.gaierror, UnicodeError):
        return f"the name {host} is not known in this network: correct it, or give the camera's address"
    except ConnectionRefusedError:
        return f"nothing listens at port {port} of {host}: check that the camera serves streams, and the port"
    except TimeoutError:
        return f"{host} does not answer: check that the camera is on, its cable and its address"
    except OSError as error:
        return f"{host} cannot be reached ({error.strerror}): check the network, and the camera's address"
    return None


class Verdict(NamedTuple):
    """What an RTSP server has against a URL: a `reason` with its cure, or its status where it refuses the transport."""

    reason: str | None = None
    transport_status: str | None = None


NO_VERDICT = Verdict()


def refusal(url: str, seconds: float = ANSWER_SECONDS) -> str | None:
    """What an RTSP server holds against this URL, and the cure; None where it has nothing to say against it."""
    return examine(url, "tcp", seconds).reason


def examine(url: str, transport: RtspTransport, seconds: float = ANSWER_SECONDS) -> Verdict:
    """The same, and whether the server gives the stream over `transport`. No verdict where it is not understood.

    A server that is still busy with the connection before may say that it is unavailable: so it is asked again.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("rtsp", "rtsps"):
        return NO_VERDICT
    for pause in (*PAUSES, None):
        try:
            described, setup = _asked(parts, transport, seconds)
        except (OSError, ValueError):
            return NO_VERDICT  # the sentence for all other cases must do
        if described != UNAVAILABLE or pause is None:
            break
        time.sleep(pause)
    if described != 200:
        return Verdict(_reason(described, parts.username is not None))
    if setup is None or setup.answer.status in ABOUT_OTHERS:
        return Verdict(_reason(setup.answer.status, parts.username is not None)) if setup else NO_VERDICT
    return Verdict(transport_status=_refused(setup, transport))


def _reason(status: int, has_login: bool) -> str | None:
    if status == 401:
        given = "refuses this user and password: correct them (@ : / # in them are written %40 %3A %2F %23)"
        return given if has_login else "asks for a user and a password: write rtsp://user:password@host/path"
    if status == 403:
        return "forbids this stream to this user: give the user the right to view it"
    if status in (404, 454):
        return "has no stream under this path: look it up in the camera's settings"
    if status == 453:
        return "is serving as many viewers as it can: close another one"
    if status == UNAVAILABLE:
        return "has no picture to give (503 Service Unavailable): restart the camera, or close another viewer"
    return None


def _asked(parts: SplitResult, transport: RtspTransport, seconds: float) -> tuple[int, "Reply | None"]:
    """The status of the answer to DESCRIBE, and the answer to SETUP, where there is something to set up."""
    with _connect(parts, seconds) as connection:
        session = _Session(connection, parts)
        described = session.ask("DESCRIBE", session.address, "Accept: application/sdp")
        if described.answer.status != 200 or b"m=video" not in described.body:
            return described.answer.status, None
        asked = {"tcp": "RTP/AVP/TCP;unicast;interleaved=0-1", "udp": "RTP/AVP;unicast;client_port=50000-50001"}
        setup = session.ask("SETUP", video_address(described, session.address), f"Transport: {asked[transport]}")
        session.end(setup)
        return 200, setup


def _refused(setup: "Reply", transport: RtspTransport) -> str | None:
    """With which status the server refuses this transport; 200 where it promises the other one instead."""
    status, promised = setup.answer.status, header(setup.headers, "transport").upper()
    if status < 300 and (not promised or ("TCP" in promised) == (transport == "tcp")):
        return None
    return f"{status} {NAMES.get(status, '')}".rstrip()


class Reply(NamedTuple):
    """An answer of RTSP with its headers as they came, and its body."""

    answer: "Answer"
    headers: tuple[str, ...]
    body: bytes


class _Session:
    """One connection to an RTSP server, which logs in where it is asked to."""

    def __init__(self, connection: socket.socket, parts: SplitResult) -> None:
        self.address = (
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' * bool(parts.query)}{parts.query}"
        )
        self._connection, self._stream = connection, connection.makefile("rb")
        self._user, self._password = parts.username, unquote(parts.password or "")
        self._number = 0
        self._challenge: Answer | None = None

    def ask(self, method: str, address: str, headers: str = "") -> Reply:
        """The server's answer; ValueError where it is none, or asks for a login that we do not know."""
        reply = self._send(method, address, headers)
        if reply.answer.status != 401 or self._user is None or self._challenge is not None:
            return reply
        self._challenge = reply.answer
        return self._send(method, address, headers)

    def end(self, setup: Reply) -> None:
        """Tell the server that nobody wants what was set up. What it says to that is not waited for."""
        session = header(setup.headers, "session").partition(";")[0]
        if setup.answer.status == 200 and session:
            self._request("TEARDOWN", self.address, f"Session: {session}")

    def _send(self, method: str, address: str, headers: str) -> Reply:
        self._request(method, address, headers)
        return _reply(self._stream)

    def _request(self, method: str, address: str, headers: str) -> None:
        self._number += 1
        lines = [f"{method} {address} RTSP/1.0", f"CSeq: {self._number}", *filter(None, [headers])]
        if self._challenge is not None:
            login = _login(self._challenge, method, address, unquote(str(self._user)), self._password)
            if not login:
                raise ValueError("a login that we do not know")
            lines.append(f"Authorization: {login}")
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode())


def _reply(stream: BinaryIO) -> Reply:
    status = stream.readline(LINE_BYTES)
    headers: list[str] = []
    while (line := stream.readline(LINE_BYTES)).strip() and len(headers) < MAX_HEADERS:
        headers.append(line.decode("latin-1").strip())
    body = stream.read(min(_length(headers), BODY_BYTES))
    return Reply(answer(status.decode("latin-1"), headers), tuple(headers), body)


def header(headers: Sequence[str], name: str) -> str:
    """The value of the first header of that name, in small letters; empty where there is none."""
    split = (line.partition(":") for line in headers)
    return next((value.strip() for key, _, value in split if key.strip().lower() == name), "")


def video_address(described: Reply, asked: str) -> str:
    """Where the video of a described stream is set up (RFC 2326, C.1.1): that of the first `m=video` in its SDP."""
    base = header(described.headers, "content-base") or header(described.headers, "content-location") or asked
    sections = re.split(r"(?m)^m=", described.body.decode("utf-8", "replace"))
    video = next((section for section in sections[1:] if section.startswith("video")), "")
    found = re.search(r"(?m)^a=control:([!-~]{1,1000})\s*$", video)
    control = found[1] if found else "*"
    if "://" in control:
        return control
    base = base if re.fullmatch(r"[!-~]{1,1000}", base) else asked
    return base if control == "*" else f"{base.rstrip('/')}/{control}"


def _connect(parts: SplitResult, seconds: float) -> socket.socket:
    host = str(parts.hostname)
    connection = socket.create_connection((host, parts.port or PORTS[parts.scheme]), seconds)
    if parts.scheme == "rtsp":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own certificates
    return context.wrap_socket(connection, server_hostname=host)


def answer(status: str, headers: Sequence[str]) -> Answer:
    """What a status line and headers say. ValueError where the line is none of RTSP."""
    found = re.match(r"RTSP/\d\.\d (\d{3})\b", status, re.ASCII)
    if not found:
        raise ValueError(f"no status line of RTSP: {status[:40]!r}")
    split = [header.partition(":") for header in headers]
    challenges = tuple(challenge(value) for name, _, value in split if name.lower() == "www-authenticate")
    return Answer(int(found[1]), challenges)


def _length(headers: Sequence[str]) -> int:
    """Of the body, 0 where none is announced."""
    for header in headers:
        name, _, value = header.partition(":")
        if name.lower() == "content-length" and re.fullmatch(r"\s*\d{1,9}\s*", value, re.ASCII):
            return int(value)
    return 0


def challenge(value: str) -> tuple[str, dict[str, str]]:
    """The value of a WWW-Authenticate header: the scheme in small letters, and its parameters."""
    scheme, _, rest = value.strip().partition(" ")
    return scheme.lower(), {name.lower(): plain or bare for name, plain, bare in _PARAMETER.findall(rest)}


def _login(first: Answer, method: str, address: str, user: str, password: str) -> str | None:
    """The Authorization header for one of the challenges that we can meet."""
    offered = dict(first.challenges)
    if "digest" in offered and offered["digest"].get("algorithm", "MD5").upper() == "MD5":
        return digest(offered["digest"], method, address, user, password)
    if "basic" in offered:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return None


def digest(offered: dict[str, str], method: str, address: str, user: str, password: str) -> str:
    """RFC 2069's digest, which every RTSP server takes (RFC 2617's `qop` is the server's wish, not its demand)."""
    realm, nonce = offered.get("realm", ""), offered.get("nonce", "")
    mine, asked = _md5(f"{user}:{realm}:{password}"), _md5(f"{method}:{address}")
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": address}
    fields["response"] = _md5(f"{mine}:{nonce}:{asked}")
    if "opaque" in offered:
        fields["opaque"] = offered["opaque"]
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
