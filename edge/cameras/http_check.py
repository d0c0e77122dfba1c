"""Why a stream over HTTP cannot be opened: requests it as FFmpeg does and examines the response. Shell over sockets."""

import http.client
import re
import ssl
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from edge.sources import NO_PLAYLIST

RESPONSE_SECONDS = 5.0
HEAD_BYTES = 1024
JPEG = b"\xff\xd8\xff"  # the beginning of every one

_STREAM_ADDRESS = "look up the address of its MJPEG stream in its manual"
_PLAYLISTS = ("mpegurl", "dash+xml", "scpls", "xspf", "x-ms-asf-playlist")


class HttpContent(NamedTuple):
    """What a server sends: its type in lower case without parameters, and its first bytes."""

    kind: str
    head: bytes


def refusal(url: str, seconds: float = RESPONSE_SECONDS) -> str | None:
    """Why an HTTP server refuses this URL or sends no video, and the remedy; None for neither."""
    try:
        content = _content(url, seconds)
    except HTTPError as error:
        return status_problem(error.code, urlsplit(url).username is not None)
    except (OSError, ValueError, http.client.HTTPException):
        return None  # no response that we understand: the general message has to do
    return content_problem(content)


def status_problem(status: int, has_login: bool) -> str | None:
    """What a status other than success means."""
    if status == 401:
        given = "refuses this user and password: correct them (@ : / # in them are written %40 %3A %2F %23)"
        return (
            given if has_login else "asks for a user and a password: write them before the host, as user:password@host"
        )
    if status == 403:
        return "forbids this stream to this user: give the user the right to view it"
    if status in (404, 410):
        return f"has nothing under this path ({status}): {_STREAM_ADDRESS}"
    if 300 <= status < 400:
        return f"redirects to another address ({status}) that cannot be opened: {_STREAM_ADDRESS}"
    if status == 503:
        return "has no stream available (503): restart the camera, or close another viewer"
    return f"responds with the error {status}: {_STREAM_ADDRESS}" if status >= 400 else None


def content_problem(content: HttpContent) -> str | None:
    """Why this is not video; None where it may be."""
    kind, head = content.kind, content.head.lstrip().lower()
    if kind in ("text/html", "application/xhtml+xml") or head.startswith((b"<!doctype html", b"<html")):
        return f"sends a web page, not a stream: {_STREAM_ADDRESS}, often /video or /mjpg/video.mjpg"
    if any(name in kind for name in _PLAYLISTS) or head.startswith((b"#extm3u", b"<mpd", b"[playlist]")):
        return f"sends a playlist: {NO_PLAYLIST}"
    if kind.startswith("image/"):
        return f"sends a single picture ({_type_name(kind)}), not a stream: {_STREAM_ADDRESS}"
    if kind.startswith("multipart/") and not head.startswith(b"--") and JPEG in head:
        return (
            "sends no boundary before its first picture, which FFmpeg needs: update the camera's firmware, or "
            "put a server in between that converts it to RTSP"
        )
    if kind.startswith("multipart/"):
        return "sends parts that hold no JPEG: set the camera to MJPEG"
    if kind.startswith("text/") or kind in ("application/json", "application/xml"):
        return f"sends text ({_type_name(kind)}), not video: {_STREAM_ADDRESS}"
    return None


def _type_name(kind: str) -> str:
    return kind if re.fullmatch(r"[\w.+-]+/[\w.+-]{1,60}", kind, re.ASCII) else "of an unusual type"


def _content(url: str, seconds: float) -> HttpContent:
    parts = urlsplit(url)
    query = "?" * bool(parts.query) + quote(parts.query, safe="%=&;/?:+,@!$'()*~")
    path = quote(parts.path or "/", safe="%/:@!$&'()*+,;=~")
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}{query}"
    opener = _opener(address, unquote(parts.username or ""), unquote(parts.password or ""))
    with opener.open(Request(address, headers={"Accept": "*/*"}), timeout=seconds) as answer:
        return HttpContent(answer.headers.get_content_type().lower(), answer.read1(HEAD_BYTES))


def _opener(address: str, user: str, password: str) -> OpenerDirector:
    """An opener that logs in at this camera only, follows redirects to HTTP only, and uses no proxy."""
    logins = HTTPPasswordMgrWithDefaultRealm()
    if user or password:
        logins.add_password(None, address, user, password)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # cameras sign their own certificates
    handlers = (HTTPDigestAuthHandler(logins), HTTPBasicAuthHandler(logins), HTTPSHandler(context=context))
    return build_opener(ProxyHandler({}), *handlers)
