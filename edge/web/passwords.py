"""The page's password: hashed by Argon2id, and compared. Shell: reads the file with the hash, and needs argon2-cffi."""

from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

SHORTEST, LONGEST = 8, 1024  # characters of a password
MOST_BYTES = 4096  # of the file


class PasswordError(Exception):
    """A password, or the file of its hash, that cannot be used; the message names the remedy."""


def hashed(password: str) -> str:
    """The hash of a password, a line of text. Raises PasswordError where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(f"a password has {SHORTEST} to {LONGEST} characters: choose another")
    return PasswordHasher().hash(password)


def read(file: Path) -> str:
    """The hash in a file. Raises PasswordError."""
    remedy = "write it anew with korsal-edge web-password"
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES).decode("ascii").strip()
    except OSError as error:
        raise PasswordError(f"{file} cannot be read ({error.strerror}): {remedy}") from error
    except ValueError:
        text = ""
    if not text.startswith("$argon2"):
        raise PasswordError(f"{file} holds no hash of a password: {remedy}")
    return text


def fits(password: str, stored: str) -> bool:
    """Whether it is the password of that hash; takes some 50 ms and 64 MiB. Raises PasswordError."""
    try:
        return PasswordHasher().verify(stored, password)
    except VerifyMismatchError:
        return False
    except (InvalidHashError, VerificationError) as error:
        raise PasswordError("the hash is damaged: write it anew with korsal-edge web-password") from error
