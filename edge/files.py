"""Files: written whole or not at all, found by names in any Unicode form, hashed. Shell; OSError is the caller's."""

import errno
import glob
import hashlib
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.text import to_nfc

Sync = Callable[[int], None]  # forces what was written to an open file or folder onto the disk
UNSYNCABLE = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)  # of a folder: not ours to read, or a network file system
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # of a file system that has no second names: a USB stick's
ABANDONED_SECONDS = 3600.0  # since a partial file was last written


def write_atomically(path: Path, content: bytes, keep_owner: bool = False, sync: Sync = os.fsync) -> None:
    """Write a file so that even a power cut leaves either the old content or the new; see `replacing`."""
    with replacing(path, keep_owner, sync) as partial:
        partial.write_bytes(content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, whole or not at all. FileExistsError where there is one already."""
    partial = _partial(path)
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except OSError as error:
            if error.errno not in NO_LINKS or path.exists():
                raise
            partial.rename(path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def replacing(path: Path, keep_owner: bool = False, sync: Sync = os.fsync) -> Iterator[Path]:
    """An empty file to fill, which replaces `path` when the block ends; if the block raises, it is removed.

    Missing folders are made. The mode of an existing file is kept, its owner and group only with `keep_owner`:
    PermissionError where this user may not give them. OSError for a device, a pipe or a folder of that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_plain(path)
    _remove_abandoned(path)
    partial = _partial(path)
    try:
        mode = _create(partial, path, keep_owner)
        yield partial
        partial.chmod(mode)  # only now: the old file may be read-only
        _sync(partial, sync)
        move_into_place(partial, path, sync)
    finally:
        with suppress(OSError):
            partial.unlink()


def check_writable(path: Path) -> None:
    """Raise OSError if `path` cannot be written. Its folder is made, and a file beside it for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_plain(path)
    partial = _partial(path)
    try:
        partial.touch()
    finally:
        with suppress(OSError):
            partial.unlink()


def write_synced(path: Path, content: bytes, sync: Sync = os.fsync) -> None:
    """Write a file and force it onto the disk."""
    path.write_bytes(content)
    _sync(path, sync)


def move_into_place(partial: Path, path: Path, sync: Sync = os.fsync) -> None:
    """Rename a complete file within its folder, so that the new name survives a power cut."""
    _require_plain(path)
    partial.replace(path)
    try:
        _sync(path.parent, sync)
    except OSError as error:
        if error.errno not in UNSYNCABLE:
            raise


def below(folder: Path) -> list[Path]:
    """All files in a folder and in those within it, sorted; links to folders are followed, each real folder once.

    Without what macOS keeps beside files on foreign disks (`._name`). Empty where there is no such folder.
    """
    found, seen = list[Path](), set[str]()
    for where, folders, names in os.walk(folder, onerror=_refuse_all_but_missing, followlinks=True):
        folders.sort()
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(where) / name for name in names if not name.startswith("._")]
    return sorted(found)


def _refuse_all_but_missing(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def existing_path(folder: Path, name: str) -> Path:
    """The path of `name` below `folder` as the disk spells it; as given where it does not exist.

    Unicode has several forms of an accented letter, and Linux compares names byte by byte: `é` as typed here does not
    open a file named on macOS.
    """
    given = folder / name
    if os.path.exists(given):
        return given
    found = folder
    for part in Path(name).parts:
        exact = found / part
        found = exact if os.path.exists(exact) else next(iter(_same_when_normalised(exact)), exact)
    return found if os.path.exists(found) else given


def _same_when_normalised(path: Path) -> list[Path]:
    """The files beside `path` whose names differ from its own in their Unicode form alone."""
    try:
        return sorted(one for one in path.parent.iterdir() if to_nfc(one.name) == to_nfc(path.name))
    except OSError:
        return []


def _require_plain(path: Path) -> None:
    """Raise OSError where no file may take the place of `path`: renamed onto /dev/null, it would be the new one.

    A link is what it leads to, as /dev/stdout.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(path))


def _remove_abandoned(path: Path) -> None:
    """Remove the partial files that killed writers of `path` have left; younger ones may still be written."""
    for partial in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink()


def _partial(path: Path) -> Path:
    """A name beside `path` that no other process or thread takes."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _create(partial: Path, path: Path, keep_owner: bool) -> int:
    """Create the new file, unreadable for others until it is complete; returns the mode that it is to have."""
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        made = os.fstat(handle)
        os.fchmod(handle, 0o600)
        try:
            old = path.stat()
        except FileNotFoundError:
            return stat.S_IMODE(made.st_mode)
        if keep_owner and (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(handle, old.st_uid, old.st_gid)
        return stat.S_IMODE(old.st_mode)
    finally:
        os.close(handle)


def _sync(path: Path, sync: Sync) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)
