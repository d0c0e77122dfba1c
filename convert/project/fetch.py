"""`korsal-train fetch`: brings clips of doubtful moments from a device, or a folder, into a project. Shell."""

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convert.project.deploy import remote
from convert.project.folders import Project
from train.datasets import project_data

STATE = PurePosixPath("/var/lib/korsal-edge")  # of the installed service
PATTERNS = tuple(f"*.teaching/doubt-*{suffix}" for suffix in (".mp4", ".json"))  # in there
# of such a file: its folder, then its camera, when, and of whom; nothing that leads elsewhere
NAME = re.compile(r"(?P<folder>[\w-][\w.-]*\.teaching)/(?P<stem>doubt-(?P<camera>[\w-]+)(?:-\d+){4}b?)\.mp4")
SSH_FAILED = 255
AT_ONCE = 50  # files of one scp

CommandRunner = Callable[[Sequence[str]], "Executed"]


class FetchError(Exception):
    """Clips that were not fetched; the message names the place and the cure."""


@dataclass(frozen=True)
class Executed:
    """What a command has printed, and its exit status."""

    status: int
    out: str = ""


@dataclass(frozen=True)
class Clip:
    """A clip on the device: its path in the state directory, and where in `videos/` it belongs: its camera's folder.

    `facts`: likewise of the file beside it that says why it was kept, where there is one.
    """

    path: str
    camera: str
    stem: str
    facts: str | None = None

    def target(self, project: Project) -> Path:
        """Where it goes."""
        return project.folder / project_data.VIDEOS / self.camera / f"{self.stem}.mp4"


def fetch(
    project: Project, host: str | None, folder: PurePosixPath = STATE, execute: CommandRunner | None = None
) -> str:
    """Copy what the project lacks; returns what was done. Raises FetchError.

    `host`: as ssh takes it; None: `folder` is of this machine. `execute` runs a command.
    """
    if host is not None and (host.startswith("-") or not host):
        raise FetchError(f"{host!r} is no host; give one as ssh does, like root@jetson")
    where, run = f"{host}:{folder}" if host else str(folder), execute or _run
    clips = clips_in(_listed(host, folder, run))
    if not clips:
        raise FetchError(
            f"{where}: holds no clip of a doubt; set keep = true in [teaching] of its config.toml, and wait"
        )
    new = [one for one in clips if not one.target(project).exists()]
    for first in range(0, len(new), AT_ONCE):
        _bring(project, host, folder, new[first : first + AT_ONCE], run)
    cameras = ", ".join(sorted({one.camera for one in clips}))
    return (
        f"{where}: {len(clips)} clips of {cameras}, {len(new)} of them new, in {project.folder / project_data.VIDEOS}/"
    )


def clips_in(lines: Iterable[str]) -> list[Clip]:
    """Those among the paths that are clips, each once; a device that names others is not believed."""
    listed = {line.strip() for line in lines}
    found = [one for line in sorted(listed) if (one := NAME.fullmatch(line))]
    facts = [known if (known := f"{one['folder']}/{one['stem']}.json") in listed else None for one in found]
    clips = {one["stem"]: Clip(one[0], one["camera"], one["stem"], of) for one, of in zip(found, facts, strict=True)}
    return [clips[stem] for stem in sorted(clips)]


def _listed(host: str | None, folder: PurePosixPath, execute: CommandRunner) -> list[str]:
    if host is None:
        return [path.relative_to(folder).as_posix() for pattern in PATTERNS for path in Path(folder).glob(pattern)]
    listing = f"cd {shlex.quote(str(folder))} && ls -1 -- {' '.join(PATTERNS)}"
    done = _executed(["ssh", "--", host, listing], execute)
    if done.status == SSH_FAILED:
        raise FetchError(f"{host}: cannot be reached by ssh; log in once, its reason is above")
    return done.out.splitlines()  # ls fails where there is none


def _bring(
    project: Project, host: str | None, folder: PurePosixPath, clips: Sequence[Clip], execute: CommandRunner
) -> None:
    """Each is put into its place once it has arrived whole."""
    videos = project.folder / project_data.VIDEOS
    try:
        videos.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=project.folder) as arriving:
            incoming = Path(arriving)
            names = [name for one in clips for name in (one.path, one.facts) if name]
            if host is None:
                for name in names:
                    shutil.copy(Path(folder) / name, incoming)
            else:
                sources = [remote(host, str(folder / name)) for name in names]
                if status := _executed(["scp", "-q", "--", *sources, str(incoming.absolute())], execute).status:
                    raise FetchError(f"{host}: did not give its clips (scp ended with {status}); its reason is above")
            for one in clips:
                place(project, one, incoming)
    except OSError as error:
        where = error.filename or project.folder
        cure = "" if isinstance(error, FileNotFoundError) else "free space, and "  # the device may delete it meanwhile
        raise FetchError(f"{where}: cannot be copied ({error.strerror}); {cure}fetch again") from error


def place(project: Project, clip: Clip, incoming: Path) -> None:
    """Move a clip that has arrived, and what says why it was kept if that has too, to where it belongs.

    Raises OSError.
    """
    target = clip.target(project)
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = incoming / f"{clip.stem}.json"
    if facts.exists():
        facts.replace(target.with_suffix(".json"))
    (incoming / f"{clip.stem}.mp4").replace(target)


def _executed(words: Sequence[str], execute: CommandRunner) -> Executed:
    try:
        return execute(words)
    except OSError as error:
        raise FetchError(f"{words[0]} cannot be run ({error.strerror}); install OpenSSH's client") from error


def _run(words: Sequence[str]) -> Executed:
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True, errors="replace")
    return Executed(done.returncode, done.stdout)
