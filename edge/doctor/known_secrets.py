"""What must not be in a report: what the configuration and the environment say of logins and addresses. Shell."""

import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import edge
from edge.broker.credentials import CREDENTIAL, CredentialsError, password
from edge.config import toml_text
from edge.config.config_file import MAX_BYTES, ConfigError, load
from edge.doctor.doctor import INSTALLED
from edge.doctor.masking import SHORT, parts_of

KEPT_KEYS = frozenset({"base", "discovery_prefix"})  # of [mqtt]: not secret
SERVICE_PASSWORD = INSTALLED.with_name(CREDENTIAL)
PUBLIC_FOLDERS = ("/etc", "/opt/korsal-edge", "/usr", "/var/lib/korsal-edge")  # the same on every machine
SECRET_NAME = re.compile(r"(?i)pass|secret|token|key|credential|auth")  # of a variable in the environment


def secrets_of(
    path: Path, environment: Mapping[str, str] = os.environ, installed: Path = SERVICE_PASSWORD
) -> Iterator[str]:
    """What in the configuration and the environment may be secret, and the names of this machine and of its folders."""
    yield socket.gethostname()
    yield from _folders(path)
    yield environment.get("SUDO_USER", "")
    secret = [value for name, value in environment.items() if SECRET_NAME.search(name)]
    yield from (value for value in secret if len(value) >= SHORT and not value.startswith("/"))
    yield from _file_secrets(path)
    with suppress(ConfigError):
        config = load(path)
        with suppress(CredentialsError):
            yield password(config.mqtt) or ""
    yield _line_of(installed)


def _folders(path: Path) -> Iterator[str]:
    """Where configuration, code and environment lie: names that somebody has given."""
    for folder in (path.absolute().parent, Path(edge.__file__).parents[1], Path(sys.prefix)):
        if len(folder.parts) > 2 and not any(folder.is_relative_to(public) for public in PUBLIC_FOLDERS):
            yield str(folder)


def _file_secrets(path: Path) -> Iterator[str]:
    """Addresses and logins in the file, whether it is valid or not."""
    try:
        text = path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
    except OSError:
        return
    try:
        document = toml_text.parse(text)
    except (ValueError, RecursionError, toml_text.NestingError):
        yield from (one for pair in re.findall(r'"([^"\n]{4,})"|\'([^\'\n]{4,})\'', text) for one in pair if one)
        return
    cameras = document.get("cameras")
    for camera in cameras.values() if isinstance(cameras, dict) else ():
        if isinstance(camera, dict):
            yield from (part for value in _texts(camera.get("source")) for part in parts_of(value))
    for table in (document.get("mqtt"), document.get("web")):
        if isinstance(table, dict):
            yield from _texts({key: value for key, value in table.items() if key not in KEPT_KEYS})
            password_file = table.get("password_file")
            if isinstance(password_file, str):
                yield _line_of(path.absolute().parent / password_file)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of TOML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _line_of(path: Path) -> str:
    """The first line of a small file; "" where it cannot be read."""
    try:
        return path.read_bytes()[:1024].decode("utf-8", "replace").partition("\n")[0].strip() if path.is_file() else ""
    except (OSError, ValueError):
        return ""
