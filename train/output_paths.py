"""Shell. Files that commands write: checked before the work, and written atomically."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge import files


class OutputPathError(Exception):
    """A file that cannot be written where an option wants it; the message names both and the remedy."""


def check(path: Path, option: str, suffix: str = "") -> None:
    """Check that a file can be written, before work that would be lost: makes its folder, and writes beside it.

    `suffix` is that by which the file is recognised when it is read. Raises OutputPathError.
    """
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no plain file"
            raise OutputPathError(f"{path}: is {kind}; give {option} a file to write")
        if suffix and path.suffix != suffix:
            raise OutputPathError(f"{path}: would not be read back; give {option} a name that ends in {suffix}")
        files.check_writable(path)
    except FileExistsError as error:
        raise OutputPathError(f"{path}: cannot be written (its folder is a file); choose another {option}") from error
    except OSError as error:
        raise _unwritable(path, option, error) from error


def write_json(content: Mapping[str, Any], path: Path, option: str) -> None:
    """Write a JSON file atomically. Raises OutputPathError."""
    try:
        files.write_atomically(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise _unwritable(path, option, error) from error


def _unwritable(path: Path, option: str, error: OSError) -> OutputPathError:
    return OutputPathError(
        f"{path}: cannot be written ({error.strerror}); free space on the disk or choose another {option}"
    )
