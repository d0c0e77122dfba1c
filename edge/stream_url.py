"""Parses URLs of streams and redacts their credentials. Pure.

A URL may contain a login, and a character in it that is not percent-encoded shifts all parts that follow: in
`rtsp://user:12#3@cam/live` and `rtsp://user:12/3@cam/live` every parser takes `user` for the host. So a URL is accepted
only if it is unambiguous, and of any other nothing before its last @ is shown.
"""

import contextlib
import re
import unicodedata
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple
from urllib.parse import unquote

SCHEMES = ("rtsp", "rtsps", "http", "https", "tcp", "udp")
LOCAL_SCHEMES = ("file", "v4l2", "csi")
HIDDEN = "***"
ENCODING = (
    "in a user or password write # as %23, ? as %3F, [ as %5B, ] as %5D, % as %25, @ as %40, : as %3A, / as %2F, "
    "a space as %20, and percent-encode whatever else is no letter or digit of English; in a path or query write @ as "
    "%40"
)
PLAYLISTS = (".m3u8", ".m3u", ".mpd", ".xspf", ".asx", ".pls")
LONGEST_NAME = 253  # characters of a host name

# RFC 3986's unreserved characters and sub-delims, and percent-encoded ones; one colon separates user and password.
_LOGIN = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(
    rf"([A-Za-z][A-Za-z0-9+.-]*)://({_LOGIN}(?::{_LOGIN})?@)?(\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+)(?::(\d+))?"
    r"(/[^@?#]*)?(\?[^@#]*)?(#[^@]*)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_MEANT_AS_STREAM = re.compile(rf"(?i)\s*({'|'.join(SCHEMES)})\s*(:|//|\\\\)")
_ADDRESS = re.compile(r"\[|[^/]*:\d|\d+\.\d+\.\d+\.\d+")
_SECRET_NAME = r"(?:user|usr|uname|uid|login|account|pass|pwd|psw|pw|auth|token|key|secret|session|sid|sig|cred)"
_SECRET_IN_PATH = re.compile(rf"(?i)({_SECRET_NAME}\w*=)[^/]*")


class UrlError(ValueError):
    """A URL that is wrong; the message names the remedy and repeats nothing of the URL."""


class StreamUrl(NamedTuple):
    """The parts of a URL. `address`: host and port as written; `host`: without brackets; `port`: None if missing."""

    scheme: str
    login: bool
    address: str
    host: str
    port: int | None
    path: str
    query: bool

    @property
    def redacted(self) -> str:
        """The URL without anything that may be a credential, safe to log; rather hides too much than too little."""
        levels = "/".join(_shown_level(level) for level in self.path.split("/"))
        return f"{self.scheme}://{f'{HIDDEN}@' if self.login else ''}{self.address}{levels}{'?***' * self.query}"


def read(url: str) -> StreamUrl:
    """Parse the URL of a stream. Raises UrlError if it is invalid or ambiguous."""
    found = _URL.fullmatch(url)
    if not found:
        raise UrlError(_fault(url))
    if re.search(r"\s", url):
        raise UrlError("an address holds no spaces: write %20")
    scheme, login, host, port, path, query, _ = found.groups()
    if len(host) > LONGEST_NAME or (host.startswith("[") and not _is_ipv6(host[1:-1])):
        raise UrlError(f"its host is no name and no address: write {scheme.lower()}://host/path")
    if port is not None and not (port.isascii() and 0 < int(port[:6]) < 65_536):
        raise UrlError("its port is out of range: give 1 to 65535")
    address = host if port is None else f"{host}:{port}"
    number = None if port is None else int(port)
    return StreamUrl(scheme, bool(login), address, host.strip("[]"), number, path or "", bool(query))


def is_playlist(path: str) -> bool:
    """Whether the path is that of a playlist (HLS, DASH and the like)."""
    return unquote(path).lower().endswith(PLAYLISTS)


def looks_like_url(text: str) -> bool:
    """Whether a text is a URL, or was meant to be one.

    Its password must not be taken for a part of a file name. East Asian keyboards type the full-width ： ／ and ＠.
    """
    text = unicodedata.normalize("NFKC", text)
    return "://" in text or bool(_MEANT_AS_STREAM.match(text)) or _login_alone(text)


def redacted(url: str) -> str:
    """The part of a URL, or of what was meant as one, that is safe to show.

    Of an ambiguous URL, that is what follows the last @ if it is an address, else its scheme, else three stars.
    """
    try:
        return read(url).redacted
    except UrlError:
        scheme, separator, rest = url.partition("://")
    _, at, address = rest.rpartition("@")
    if separator and scheme.lower() in SCHEMES:
        with contextlib.suppress(UrlError):
            return read(f"{scheme}://{HIDDEN.replace('*', 'x')}@{address}").redacted if at else f"{scheme}://{HIDDEN}"
        return f"{scheme}://{HIDDEN}"
    if separator and _SCHEME.fullmatch(scheme) and not at:
        return f"{scheme}://{HIDDEN}"
    meant = _MEANT_AS_STREAM.match(url)
    return f"{meant[1]}:{HIDDEN}" if meant else HIDDEN


def _login_alone(text: str) -> bool:
    """Whether it is `user:password@host` without a scheme. What begins with / ./ ../ or ~ is a path."""
    before, at, after = text.rpartition("@")
    if not at or text.startswith(("./", "../", "~")) or (text.startswith("/") and not text.startswith("//")):
        return False
    return any(mark in before for mark in (":", "\\", "//")) or bool(_ADDRESS.match(after))


def _fault(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if _is_ipv6(re.split(r"[/?#]", rest.rpartition("@")[2])[0]):
        return f"an IPv6 address stands in brackets: write {scheme.lower()}://[address]:port/path"
    if "@" in rest:
        return f"where its user and password end cannot be told: {ENCODING}"
    if re.search(r"\s", rest):
        return "an address holds no spaces: write %20"
    if not rest or rest[0] in "/?#:":
        return f"the host is missing: write {scheme.lower()}://host/path"
    return f"is no valid address: write {scheme.lower()}://host:port/path; {ENCODING}"


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _shown_level(level: str) -> str:
    """One level of a path, with the value after a name like `password=` hidden. All is hidden if that is encoded."""
    if ":" in unquote(level) or (level != unquote(level) and _SECRET_IN_PATH.search(unquote(level))):
        return HIDDEN
    return _SECRET_IN_PATH.sub(rf"\1{HIDDEN}", level)
