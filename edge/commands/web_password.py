"""`korsal-edge web-password`: asks for the live page's password and writes its hash."""

import getpass
import sys
from pathlib import Path

from edge import files, packages


class WebPasswordError(Exception):
    """No password was given, or it cannot be kept; the message names the remedy."""


def web_password(file: Path) -> int:
    """Ask twice, or read a line from a pipe, and write the hash, for this user alone. Raises WebPasswordError."""
    packages.require("argon2")
    from edge.web import passwords  # needs the package

    try:
        content = passwords.hashed(_asked()) + "\n"
    except passwords.PasswordError as error:
        raise WebPasswordError(str(error)) from error
    try:
        if file.exists():
            files.write_atomically(file, content.encode(), keep_owner=True)
        else:
            files.write_new(file, content.encode())
    except OSError as error:
        raise WebPasswordError(f"{file}: cannot be written ({error.strerror}): choose another place") from error
    print(f"{file}: name it as password_file in [web]")
    return 0


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first, second = getpass.getpass("Password of the live page: "), getpass.getpass("Once more: ")
    if first != second:
        raise WebPasswordError("the two passwords differ: try again")
    return first
