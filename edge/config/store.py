"""Writes changes into `config.toml`, all of them or none, after a check of the whole file. Shell."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.config.config_file import ConfigError, parse
from edge.config.edit import EditError, edited
from edge.config.schema import Config
from edge.files import write_atomically
from edge.text import TextError, decode_utf8


def store(
    path: Path, changes: Mapping[str, object], check: Callable[[Config], Sequence[str]] = lambda _: ()
) -> tuple[str, ...]:
    """Change the file and return no problems, or leave it as it is and return them.

    `changes`: as `edit.edited` takes them. `check` returns further problems that the schema cannot know, such as
    actions that the model does not have. Comments, mode, owner and a link to the file are kept; where `path` is a link,
    relative paths start at the folder of the link, as they do when it is read.
    """
    folder = path.absolute().parent
    path = Path(os.path.realpath(path))
    try:
        content = edited(decode_utf8(path.read_bytes()), changes).encode()
        problems = _problems(path, content, folder, check)
        if not problems:
            write_atomically(path, content, keep_owner=True)
        return problems
    except EditError as error:
        return error.problems
    except TextError as error:
        return (f"{path} {error}",)
    except OSError as error:
        return (
            f"{path} cannot be written ({error.strerror}): where install.sh set this service up, run it again, which "
            "makes that possible; elsewhere give the file and its folder to this program's user, or edit it by hand",
        )


def can_store(path: Path) -> bool:
    """Whether this user may `store`: it must own the file and may write its folder."""
    path = Path(os.path.realpath(path))
    ours = path.stat().st_uid == os.geteuid() or os.geteuid() == 0
    return ours and os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True)


def _problems(path: Path, content: bytes, folder: Path, check: Callable[[Config], Sequence[str]]) -> tuple[str, ...]:
    try:
        return tuple(check(parse(content, path, folder)))
    except ConfigError as error:
        return error.problems
