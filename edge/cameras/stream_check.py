"""Why a stream cannot be had: asks the camera's address, and its RTSP server, itself. Shell over sockets.

OpenCV tells only that it could not. Two questions are asked here: does anything answer at that address, and what does
the server say to DESCRIBE (RFC 2326) with the user and password of the URL (RFC 2617, Basic and Digest)?
"""

import base64
import re
import socket
import ssl
from collections.abc import Sequence
from hashlib import md5
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
LINE_BYTES, MOST_HEADERS, BODY_BYTES = 4096, 100, 65_536  # no server makes us read more

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


def refusal(url: str, seconds: float = ANSWER_SECONDS) -> str | None:
    """What an RTSP server holds against this URL, and the cure; None where it has nothing to say against it."""
    parts = urlsplit(url)
    if parts.scheme not in ("rtsp", "rtsps"):
        return None
    try:
        status = _status(parts, seconds)
    except (OSError, ValueError):
        return None  # it answers nothing that we understand: the sentence for all other cases must do
    if status == 401:
        given = "refuses this user and password: correct them (@ : / in them are written %40 %3A %2F)"
        return given if parts.username else "asks for a user and a password: write rtsp://user:password@host/path"
    if status == 403:
        return "forbids this stream to this user: give the user the right to view it"
    if status in (404, 454):
        return "has no stream under this path: look it up in the camera's settings"
    if status in (453, 503):
        return "is serving as many viewers as it can: close another one"
    return None


def _status(parts: SplitResult, seconds: float) -> int:
    """Of the answer to DESCRIBE, after the login where one is asked for."""
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?' * bool(parts.query)}{parts.query}"
    with _connect(parts, seconds) as connection:
        first = _ask(connection, address, 1, "")
        if first.status != 401 or parts.username is None:
            return first.status
        login = _login(first, address, unquote(parts.username), unquote(parts.password or ""))
        if not login:
            raise ValueError("a login that we do not know")
        return _ask(connection, address, 2, f"Authorization: {login}\r\n").status


def _connect(parts: SplitResult, seconds: float) -> socket.socket:
    host = str(parts.hostname)
    connection = socket.create_connection((host, parts.port or PORTS[parts.scheme]), seconds)
    if parts.scheme == "rtsp":
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own certificates
    return context.wrap_socket(connection, server_hostname=host)


def _ask(connection: socket.socket, address: str, number: int, headers: str) -> Answer:
    request = f"DESCRIBE {address} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{headers}\r\n"
    connection.sendall(request.encode())
    with connection.makefile("rb") as stream:
        status = stream.readline(LINE_BYTES)
        headers_read: list[str] = []
        while (line := stream.readline(LINE_BYTES)).strip() and len(headers_read) < MOST_HEADERS:
            headers_read.append(line.decode("latin-1").strip())
        stream.read(min(_length(headers_read), BODY_BYTES))
    return answer(status.decode("latin-1"), headers_read)


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


def _login(first: Answer, address: str, user: str, password: str) -> str | None:
    """The Authorization header for one of the challenges that we can meet."""
    offered = dict(first.challenges)
    if "digest" in offered and offered["digest"].get("algorithm", "MD5").upper() == "MD5":
        return digest(offered["digest"], "DESCRIBE", address, user, password)
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
