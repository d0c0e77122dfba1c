"""Password and certificates for the broker, read again at each login, so that a corrected file takes effect. Shell.

A password is kept nowhere: neither in the settings, nor in the log, nor in what is published.
"""

import os
import ssl
from contextlib import suppress
from pathlib import Path

from edge.config.schema import MqttConfig, TlsConfig
from edge.text import BOMS, TextError, decode_utf8

CREDENTIAL = "mqtt-password"  # of systemd: LoadCredential=mqtt-password:/path
LONGEST = 65_535  # bytes of a password; MQTT's limit
VARIABLE = "KORSAL_MQTT_PASSWORD"


class CredentialsError(Exception):
    """Our credentials cannot be used; the message names the problem and the remedy."""


def password(settings: MqttConfig) -> str | None:
    """From `password_file`, else systemd's credential, else the environment; None where there is none."""
    if settings.password_file is not None:
        return _first_line(settings.password_file, "[mqtt] password_file")
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / CREDENTIAL
    given = _first_line(credential, f"LoadCredential={CREDENTIAL} of the unit") if credential.exists() else ""
    return given or os.environ.get(VARIABLE)  # our unit passes an empty credential by default


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name checked. An encrypted key is refused: nobody could unlock it."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise CredentialsError(f"the files of [mqtt.tls] cannot be used ({error}): {_tls_remedy(tls)}") from None
    return context


def _tls_remedy(tls: TlsConfig) -> str:
    """What to check: OpenSSL finds nothing in a file that begins with a byte order mark."""
    for file in (tls.ca, tls.cert, tls.key):
        with suppress(OSError):
            if file is not None and file.read_bytes()[:4].startswith(BOMS):
                return f"{file} begins with a byte order mark, save it as UTF-8 without BOM, or as ANSI"
    return "check ca, cert and key"


def _first_line(file: Path, where: str) -> str:
    """The first line of a regular file: a pipe might block, a device might never end."""
    try:
        if not file.is_file():
            raise FileNotFoundError
        with file.open("rb") as opened:
            line = opened.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise CredentialsError(f"the first line of {file} is too long for a password: check {where}")
        return decode_utf8(line).rstrip("\r\n")
    except TextError as error:
        raise CredentialsError(f"{file} {error}: check {where}") from None
    except (OSError, ValueError):
        raise CredentialsError(f"{file} cannot be read: check {where} and the file's permissions") from None
