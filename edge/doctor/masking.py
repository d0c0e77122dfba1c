"""Hides in a text what a stranger need not know: secrets, addresses, names of hosts and people. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MASK = "***"
KEY = 12  # characters of a step of a path that look like a key, unless it has digits
SHORT = 6  # characters: a shorter secret is hidden only where it stands alone
_PUBLIC = frozenset(
    {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "root", "korsal", "korsal-edge", "mqtt"}
    | {"jetson", "nvidia", "orin", "tegra-ubuntu", "ubuntu"}  # defaults that many devices share
)
_LOCAL_URL = re.compile(r"(?:csi://\d+|v4l2:///dev/[\w/.-]+)[:;,.]?")
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://[^\s\"'<>]+")
_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)"  # IPv4
    r"|(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])"  # IPv6, and MAC addresses
    r"|(?<![\w:])[0-9A-Fa-f]{1,4}::[0-9A-Fa-f]{1,4}(?![\w:])"  # the shortest IPv6; 11:22:33 is a time of day
)
_BROKER = re.compile(r"\b(broker )([\w.-]+)(?=:\d)")  # in a log, also one of an earlier configuration
_PERSON = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")  # not mAP@0.5
_HOME = re.compile(r"(/(?:home|Users|run/user))/[^/\s'\",:;]+")
_NAMED = re.compile(r"(?i)\b((?:\w*(?:password|passwd|pwd|token|secret|api_?key))\s*[=:]\s*)(?!is\b|\[mqtt\])\S+")
_LOGIN_NAME = re.compile(r"(?i)pass|pwd|token|secret|key|auth|user|login")  # of a value in a query
_QUOTED_VALUE = re.compile(r", is (?:'.*'|\".*\"|\[.*\]|\{.*\}|\S*\.\.\.)(?=[;,:]|$)", re.MULTILINE)


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, in whatever way they are encoded in URLs, nor wrong values of the configuration.

    Also hidden: all URLs but local ones, and names of people in paths and addresses. Versions stay: numbers that look
    like addresses are left to `without_addresses`.
    """
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote(secret), unquote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        if form.strip() and form not in _PUBLIC:
            text = _without(text, form)
    text = _URL.sub(lambda found: found[0] if _LOCAL_URL.fullmatch(found[0]) else f"{found[1]}://{MASK}", text)
    text = _BROKER.sub(lambda found: found[0] if found[2] in _PUBLIC else f"{found[1]}{MASK}", text)
    text = _QUOTED_VALUE.sub(f", is {MASK}", text)
    text = _NAMED.sub(rf"\g<1>{MASK}", text)
    text = _PERSON.sub(MASK, text)
    return _HOME.sub(rf"\1/{MASK}", text)


def without_addresses(text: str) -> str:
    """The text without IP and MAC addresses, but for those of this machine itself."""
    return _ADDRESS.sub(lambda found: found[0] if found[0] in _PUBLIC else MASK, text)


def parts_of(address: str) -> tuple[str, ...]:
    """All parts of a camera's address that may be secret: logins, host, and what looks like a key in path and query.

    () for a local device. Plain words of a path are left: they are hidden with the whole address.
    """
    if address.startswith(("/dev/", "csi://", "v4l2://")):
        return ()
    if "://" not in address:
        return (address,)
    try:
        url = urlsplit(address)
    except ValueError:
        return (address,)
    steps = re.split(r"[/&=?;#]", f"{url.path}/{url.query}/{url.fragment}")
    keys = [step for step in steps if len(step) >= KEY or (len(step) > 3 and re.search(r"\d", step))]
    keys += [value for name, value in parse_qsl(url.query) if _LOGIN_NAME.search(name)]
    login = url.netloc.rpartition("@")[0]
    user, _, password = login.partition(":")
    return tuple(part for part in (address, url.netloc, login, user, password, url.hostname or "", *keys) if part)


def _without(text: str, secret: str) -> str:
    if len(secret) >= SHORT:
        return re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text, flags=re.IGNORECASE)
