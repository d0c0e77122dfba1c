"""Writes changes into `config.toml`: checked as the whole file is, at once or not at all. Shell."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.config.config_file import ConfigError, load
from edge.config.edit import EditError, edited
from edge.config.schema import Config
from edge.text import TextError, decoded


def store(
    path: Path, changes: Mapping[str, object], check: Callable[[Config], Sequence[str]] = lambda _: ()
) -> tuple[str, ...]:
    """Change the file; the problems that kept it as it was, none where it was changed.

    `changes`: as `config_edit.edited` takes them. `check`: what the schema cannot know, as whether the model has the
    actions that are named; sentences. Comments, mode, owner and a link to the file stay; where `path` is a link,
    relative paths start at the folder of the link, as they do when it is read.
    """
    folder = path.absolute().parent
    path = Path(os.path.realpath(path))
    try:
        text = edited(decoded(path.read_bytes()), changes)
        return _replace(path, text, lambda draft: _problems(draft, folder, check))
    except EditError as error:
        return error.problems
    except TextError as error:
        return (f"{path} {error}",)
    except OSError as error:
        return (
            f"{path} cannot be written ({error.strerror}): where install.sh set this service up, run it again, which "
            "makes that possible; elsewhere give the file and its folder to this program's user, or edit it by hand",
        )


def may_store(path: Path) -> bool:
    """Whether this program's user has the rights that `store` needs: over the folder, and the file must be its own."""
    path = Path(os.path.realpath(path))
    ours = path.stat().st_uid == os.geteuid() or os.geteuid() == 0
    return ours and os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True)


def _replace(path: Path, text: str, problems_of: Callable[[Path], tuple[str, ...]]) -> tuple[str, ...]:
    """Put a file with this text in the place of the old one, if it has no problems."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
            _adopt(handle, path)
        problems = problems_of(draft)
        if not problems:
            draft.replace(path)
            _sync(path.parent)
        return problems
    finally:
        draft.unlink(missing_ok=True)


def _problems(draft: Path, folder: Path, check: Callable[[Config], Sequence[str]]) -> tuple[str, ...]:
    try:
        return tuple(check(load(draft, folder)))
    except ConfigError as error:
        return error.problems


def _adopt(handle: int, path: Path) -> None:
    """Mode and owner of the old file. PermissionError where that owner cannot be given."""
    old = path.stat()
    os.fchmod(handle, old.st_mode & 0o7777)
    if (os.fstat(handle).st_uid, os.fstat(handle).st_gid) != (old.st_uid, old.st_gid):
        os.fchown(handle, old.st_uid, old.st_gid)


def _sync(folder: Path) -> None:
    """The new name outlives a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
