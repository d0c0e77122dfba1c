"""Changes of `config.toml`, all of them or none, after a check of the whole file: written, or only tried. Shell."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.config.config_file import ConfigError, parse
from edge.config.edit import EditError, edited
from edge.config.schema import Config
from edge.files import write_atomically
from edge.text import TextError, decode_utf8

Check = Callable[[Config], Sequence[str]]


class ChangeError(Exception):
    """Changes that are not made. `problems`: a sentence each."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def store(path: Path, changes: Mapping[str, object], check: Check = lambda _: ()) -> tuple[str, ...]:
    """Change the file and return no problems, or leave it as it is and return them.

    `changes`: as `edit.edited` takes them. `check` returns further problems that the schema cannot know, such as
    actions that the model does not have. Comments, mode, owner and a link to the file are kept; where `path` is a link,
    relative paths start at the folder of the link, as they do when it is read.
    """
    try:
        content, _ = _changed(path, changes, check)
        write_atomically(Path(os.path.realpath(path)), content, keep_owner=True)
    except ChangeError as error:
        return error.problems
    except OSError as error:
        return (
            f"{path} cannot be written ({error.strerror}): where install.sh set this service up, run it again, which "
            "makes that possible; elsewhere give the file and its folder to this program's user, or edit it by hand",
        )
    return ()


def tried(path: Path, changes: Mapping[str, object], check: Check = lambda _: ()) -> Config:
    """The configuration that `store` would lead to; nothing is written. Raises ChangeError."""
    return _changed(path, changes, check)[1]


def can_store(path: Path) -> bool:
    """Whether this user may `store`: it must own the file and may write its folder."""
    path = Path(os.path.realpath(path))
    try:
        ours = path.stat().st_uid == os.geteuid() or os.geteuid() == 0
    except OSError:
        return False
    return ours and os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True)


def _changed(path: Path, changes: Mapping[str, object], check: Check) -> tuple[bytes, Config]:
    """The changed file's content, and its configuration. Raises ChangeError."""
    folder, path = path.absolute().parent, Path(os.path.realpath(path))
    try:
        content = edited(decode_utf8(path.read_bytes()), changes).encode()
        config = parse(content, path, folder)
    except (EditError, ConfigError) as error:
        raise ChangeError(*error.problems) from error
    except TextError as error:
        raise ChangeError(f"{path} {error}") from error
    except OSError as error:
        raise ChangeError(f"{path} cannot be read ({error.strerror}): put it back, or edit it by hand") from error
    if problems := tuple(check(config)):
        raise ChangeError(*problems)
    return content, config
