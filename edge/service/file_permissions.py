"""Which of the daemon's files every user of this machine can read or write, but should not. Shell: the file system.

Only permissions for "others" count: who is in a group is the administrator's choice.
"""

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge import model_files
from edge.broker.credentials import CREDENTIAL
from edge.config.config_file import model_path, state_directory
from edge.config.schema import Config
from edge.engines import engine_record
from edge.engines.cached_engines import SUFFIX
from edge.open_model import ENGINE_CACHE
from edge.shipped_files import AssetError

READ, WRITE = stat.S_IROTH, stat.S_IWOTH


@dataclass(frozen=True)
class UnsafePermission:
    """A file or folder open to everybody, what that allows, and the command that fixes it."""

    path: Path
    text: str
    remedy: str


def unsafe_permissions(config: Config, file: Path | None) -> tuple[UnsafePermission, ...]:
    """What is open to everybody: of a configuration, the `file` it was read from, and the files it names."""
    return (*_secrets(config, file), *_writable(config, file))


def _secrets(config: Config, file: Path | None) -> Iterator[UnsafePermission]:
    """Files with secrets that others can read. systemd reads its credential as root: the service needs no access."""
    if file is not None:
        if any(camera.to_source().secret for camera in config.cameras.values()):
            yield from _secret(file, "a camera's password")
        yield from _secret(file.with_name(CREDENTIAL), "the broker's password", ours=False)
    if config.mqtt.password_file is not None:
        yield from _secret(config.mqtt.password_file, "the broker's password")
    if config.mqtt.tls is not None and config.mqtt.tls.key is not None:
        yield from _secret(config.mqtt.tls.key, "the private key of the client certificate")
    if config.web.password_file is not None:
        yield from _secret(config.web.password_file, "the hash of the live page's password")
    if config.web.key is not None:
        yield from _secret(config.web.key, "the private key of the live page's certificate")


def _writable(config: Config, file: Path | None) -> Iterator[UnsafePermission]:
    """Files that control the daemon and that others can write."""
    state = state_directory(config.outbox)
    yield from _open(state, "put machine code and events there", ours=True)
    for folder, _, names in os.walk(state / ENGINE_CACHE):  # empty where we have no access
        engines = [name for name in names if name.endswith((SUFFIX, engine_record.beside(Path(SUFFIX)).name))]
        for place in (Path(folder), *(Path(folder, name) for name in engines)):
            yield from _open(place, "put machine code there, which the daemon runs", ours=True)
    with suppress(AssetError):  # the daemon reports it
        path = model_path(config.model)
        named = model_files.read(path)
        for model in (path, *(one.path for one in (model_files.siblings(named) if named else ()))):
            yield from _writable_or_replaceable(model, "decide what is detected")
    if file is not None:
        yield from _writable_or_replaceable(file, "decide what is watched and who receives the events")


def _secret(file: Path, what: str, ours: bool = True) -> Iterator[UnsafePermission]:
    """`ours`: the daemon must still be able to read it without the permission for everybody."""
    found = _open_to_everybody(file, READ)
    if found is None:
        return
    change = "sudo chmod o-rwx"
    if ours and not _readable_by_us(found):
        change = f"sudo chgrp {_group()} {shlex.quote(str(file))} && sudo chmod g=r,o="
    yield UnsafePermission(
        file, f"can be read by every user of this machine, and contains {what}", _command(change, file)
    )


def _writable_or_replaceable(file: Path, harm: str) -> Iterator[UnsafePermission]:
    """A file that others can write, or replace because everybody may rename files in its folder.

    For a link, its own folder and that of its target count.
    """
    yield from _open(file, harm)
    places = {os.path.realpath(place.parent): place for place in (Path(os.path.realpath(file)), file.absolute())}
    for place in places.values():
        found = _open_to_everybody(place.parent, WRITE)
        if found is not None and not found.st_mode & stat.S_ISVTX:
            yield from _open(place.parent, f"replace {place.name} and {harm}")


def _open(path: Path, harm: str, ours: bool = False) -> Iterator[UnsafePermission]:
    """A file or folder that everybody can write. `ours`: the daemon must be able to write it."""
    found = _open_to_everybody(path, WRITE)
    if found is None:
        return
    change = "sudo chmod o-w"
    if ours and os.geteuid() not in (0, found.st_uid):
        change = f"sudo chown {_user()} {shlex.quote(str(path))} && sudo chmod o-w"
    yield UnsafePermission(
        path, f"can be written by every user of this machine, who could {harm}", _command(change, path)
    )


def _open_to_everybody(path: Path, permission: int) -> os.stat_result | None:
    """The status of a path that everybody can reach and has this permission on; None for any other."""
    try:
        whole = Path(os.path.realpath(path))
        found = whole.stat()
        reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in whole.parents)
    except OSError:  # it does not exist, or is out of reach for us too
        return None
    return found if reached and found.st_mode & permission else None


def _readable_by_us(found: os.stat_result) -> bool:
    """Whether we could read the file without the permission for everybody."""
    by_group = bool(found.st_mode & stat.S_IRGRP) and found.st_gid in (os.getegid(), *os.getgroups())
    return by_group or os.geteuid() in (0, found.st_uid)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # the user of a container may have no name
        return str(os.geteuid())


def _group() -> str:
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def _command(command: str, path: Path) -> str:
    return f"{command} {shlex.quote(str(path))}"
