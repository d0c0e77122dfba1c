"""Which requests a browser may send to the page: by Host, Origin and Fetch Metadata. Pure.

A page of somebody else, open in the same browser, can make it ask here. A name of the attacker's that leads to this
machine (DNS rebinding) is recognised by Host, for IP addresses cannot be rebound.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

SAFE_METHODS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer the Origin of a form would be null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def refusal(method: str, upgrade: bool, headers: Mapping[str, str], names: Collection[str]) -> str:
    """Why a request is refused, "" where it is not; `names`: host names of this machine, in lower case.

    `headers`: of the request, whose names are found in any case; `upgrade`: to a WebSocket.
    """
    host = headers.get("Host", "")
    if not is_our_host(host, names):
        return "this page is not served under that name: open it by its IP address, or add the name to [web] hosts"
    origin = headers.get("Origin")
    if origin is not None and not is_same_origin(origin, host):
        return "requests from other pages are refused"
    if origin is None and (upgrade or method not in SAFE_METHODS):
        return "a request without Origin may change nothing: use a browser of today"
    site = headers.get("Sec-Fetch-Site", "same-origin")
    if site not in ("same-origin", "none") and not _is_navigation(method, headers):
        return "requests from other pages are refused"
    return ""


def is_our_host(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names this machine: by an IP address, as localhost, or by one of its names."""
    name = _host_name(host)
    if not name:
        return False
    try:
        ip_address(name)
        return True
    except ValueError:
        return name == "localhost" or name in names


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header is of the page that Host names."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _host_name(host: str) -> str:
    """The name or address of a Host header, without port and brackets; "" where it has none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    if parts.netloc != host or "@" in host:
        return ""
    return (parts.hostname or "").rstrip(".")


def _is_navigation(method: str, headers: Mapping[str, str]) -> bool:
    """Whether somebody has followed a link of another page to this one."""
    return (
        method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )
