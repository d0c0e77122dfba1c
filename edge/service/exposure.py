"""Which of the daemon's files every user of this machine could read or write, and should not. Shell: the file system.

Looked at are the rights of everybody, not those of a group: who is in a group is the administrator's choice.
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

from edge.assets import AssetError
from edge.broker.credentials import CREDENTIAL
from edge.config.config_file import model_path, state_directory
from edge.config.schema import Config
from edge.engines import engine_record
from edge.engines.engine_cache import SUFFIX
from edge.open_model import ENGINES

READ, WRITE = stat.S_IROTH, stat.S_IWOTH


@dataclass(frozen=True)
class Exposure:
    """A file or folder that is open to everybody, what that means, and the command that ends it."""

    path: Path
    text: str
    cure: str


def exposed(config: Config, file: Path | None) -> tuple[Exposure, ...]:
    """What is open to everybody of a configuration, of the `file` that it was read from, and of all that it names."""
    return (*_secrets(config, file), *_writable(config, file))


def _secrets(config: Config, file: Path | None) -> Iterator[Exposure]:
    """Files with secrets in them that others can read. systemd's is read by root, so that we need no right to it."""
    if file is not None:
        if any(camera.described().secret for camera in config.cameras.values()):
            yield from _secret(file, "a camera's password")
        yield from _secret(file.with_name(CREDENTIAL), "the broker's password", ours=False)
    if config.mqtt.password_file is not None:
        yield from _secret(config.mqtt.password_file, "the broker's password")
    if config.mqtt.tls is not None and config.mqtt.tls.key is not None:
        yield from _secret(config.mqtt.tls.key, "the private key that the broker knows us by")


def _writable(config: Config, file: Path | None) -> Iterator[Exposure]:
    """What decides over the daemon and can be written by others."""
    state = state_directory(config)
    yield from _open(state, "put machine code and events there", ours=True)
    for folder, _, names in os.walk(state / ENGINES):  # nothing where we may not look
        engines = [name for name in names if name.endswith((SUFFIX, engine_record.beside(Path(SUFFIX)).name))]
        for place in (Path(folder), *(Path(folder, name) for name in engines)):
            yield from _open(place, "put machine code there, which we run", ours=True)
    with suppress(AssetError):  # which the daemon tells of
        yield from _replaceable(model_path(config), "decide what is found")
    if file is not None:
        yield from _replaceable(file, "decide what is watched and who hears of it")


def _secret(file: Path, what: str, ours: bool = True) -> Iterator[Exposure]:
    """`ours`: we must be able to read it ourselves, without what everybody may."""
    found = _open_to_all(file, READ)
    if found is None:
        return
    change = "sudo chmod o-rwx"
    if ours and not _belongs_to_us(found):
        change = f"sudo chgrp {_group()} {shlex.quote(str(file))} && sudo chmod g=r,o="
    yield Exposure(file, f"can be read by every user of this machine, and {what} stands in it", _done(change, file))


def _replaceable(file: Path, harm: str) -> Iterator[Exposure]:
    """A file that can be written, or, where its folder lets everybody rename what is in it, replaced.

    Of a link its own folder and that of the file count.
    """
    yield from _open(file, harm)
    places = {os.path.realpath(place.parent): place for place in (Path(os.path.realpath(file)), file.absolute())}
    for place in places.values():
        found = _open_to_all(place.parent, WRITE)
        if found is not None and not found.st_mode & stat.S_ISVTX:
            yield from _open(place.parent, f"replace {place.name} and {harm}")


def _open(path: Path, harm: str, ours: bool = False) -> Iterator[Exposure]:
    """A file or folder that everybody can write. `ours`: we must be able to write to it ourselves."""
    found = _open_to_all(path, WRITE)
    if found is None:
        return
    change = "sudo chmod o-w"
    if ours and os.geteuid() not in (0, found.st_uid):
        change = f"sudo chown {_user()} {shlex.quote(str(path))} && sudo chmod o-w"
    yield Exposure(path, f"can be written by every user of this machine, who can so {harm}", _done(change, path))


def _open_to_all(path: Path, right: int) -> os.stat_result | None:
    """What the file system says of a path where everybody has this right to it and can get there; None elsewhere."""
    try:
        whole = Path(os.path.realpath(path))
        found = whole.stat()
        reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in whole.parents)
    except OSError:  # it is not there, or we get there no more than others
        return None
    return found if reached and found.st_mode & right else None


def _belongs_to_us(found: os.stat_result) -> bool:
    """Could we read the file if everybody could not?"""
    by_group = bool(found.st_mode & stat.S_IRGRP) and found.st_gid in (os.getegid(), *os.getgroups())
    return by_group or os.geteuid() in (0, found.st_uid)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.geteuid())


def _group() -> str:
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())


def _done(command: str, path: Path) -> str:
    return f"{command} {shlex.quote(str(path))}"
