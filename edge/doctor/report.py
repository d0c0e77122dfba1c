"""`korsal-edge doctor --report`: one file for whoever helps: versions, checks, logs, telemetry. Shell.

No pictures, no configuration, no secrets: everything passes `edge.doctor.masking`. A process of its own gathers it, as
a driver may crash or hang where it is asked: the file then holds what there was until then, and says so.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing.connection import Connection
from pathlib import Path

from edge import __version__
from edge.config.config_file import ConfigError, load, state_directory
from edge.config.schema import Config, OutboxConfig
from edge.doctor import service_records, versions
from edge.doctor.doctor import examine, summary, without_log
from edge.doctor.known_secrets import secrets_of
from edge.doctor.masking import masked, without_addresses
from edge.doctor.model_records import engines, model
from edge.doctor.telemetry_sample import SECONDS, sample
from edge.files import write_new
from edge.open_model import ENGINE_CACHE

SILENCE_SECONDS = 300.0  # without a line from a step, after which it hangs
END_SECONDS = 30.0  # for the process to end after its last line
INTRODUCTION = (
    "Passwords, logins, addresses, host names and home directories are hidden as ***. Names that you gave to the\n"
    "device, cameras and zones are not. There are no pictures and no events in it. Please read it before you send it."
)


class ReportError(Exception):
    """A report that cannot be written; the message names the file and the remedy."""


@dataclass
class Gathered:
    """What has been gathered so far: lines by section. `ended`: why it ended early, "" where it is whole."""

    sections: dict[str, list[str]]
    ended: str = ""

    def add(self, section: str, line: str | None) -> None:
        """Add a line, or begin a section."""
        lines = self.sections.setdefault(section, [])
        if line is not None:
            lines.append(line)


def report(config: Path, target: Path | None, seconds: float = SECONDS) -> int:
    """Check everything as `doctor` does, and write the report; 1 where something is wrong. Raises ReportError."""
    target = default_name() if target is None else target
    _check(target)
    found = gather(config, seconds)
    content = text_of(found, secrets_of(config)).encode("utf-8", "replace")
    try:
        write_new(target, content)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as error:
        raise ReportError(f"{target}: cannot be written ({error.strerror}); name another place") from error
    print(f"report: {target}, {len(content) >> 10} KiB; read it before you send it", file=sys.stderr)
    return int(any(line.startswith("WRONG") for line in found.sections.get("checks", ())) or bool(found.ended))


def default_name() -> Path:
    """A name in the current folder, with the time."""
    return Path(f"korsal-report-{datetime.now().astimezone():%Y%m%d-%H%M%S}.txt")


def text_of(found: Gathered, secrets: Iterable[str]) -> str:
    """The whole report, with what a stranger need not know hidden."""
    secrets = list(secrets)
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    parts = [f"Report of korsal-edge {__version__}, {now}\n{INTRODUCTION}"]
    for section, lines in found.sections.items():
        text = masked("\n".join(lines), secrets)
        parts.append(f"== {section}\n{text if section in NUMBERED else without_addresses(text)}")
    return "\n\n".join([*parts, found.ended or "== complete"]) + "\n"


def gather(config: Path, seconds: float, program: "Callable[..., None] | None" = None) -> Gathered:
    """Everything that there is to report; the checks are printed as they are made. `program`: gathers it, for tests."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=program or gather_into, args=(theirs, config, seconds), daemon=True)
    process.start()
    theirs.close()
    found, section = Gathered({}), "start"
    try:
        while True:
            if not ours.poll(SILENCE_SECONDS):
                found.ended = f"== ended early: nothing more came from '{section}' in {SILENCE_SECONDS:g} s"
                break
            section, line = ours.recv()
            found.add(section, line)
            if section == "checks" and line is not None:
                print(line, flush=True)
    except (EOFError, OSError):  # its end, between two lines or within one
        process.join(END_SECONDS)
        if process.exitcode:
            found.ended = f"== ended early: its process ended in '{section}' with code {process.exitcode}"
    finally:
        process.kill()
        process.join(END_SECONDS)
        ours.close()
    return found


def gather_into(sink: Connection, path: Path, seconds: float) -> None:
    """Send section after section. The checks make this process the service's user, who cannot read the journal."""
    with tempfile.TemporaryDirectory() as folder, without_log():
        for section, lines in (*VERSIONS.items(), *RECORDS.items()):
            _send(sink, section, lines())
        _send(sink, "checks", _checks(path, Path(folder)))
        config = _loaded(path)
        outbox = OutboxConfig() if config is None else config.outbox
        _send(sink, "model", model(config))
        _send(sink, "engines", engines(state_directory(outbox) / ENGINE_CACHE))
        _send(sink, "telemetry", sample(config, seconds))
        os.environ.pop("CREDENTIALS_DIRECTORY", None)
    sink.close()


def _checks(path: Path, folder: Path) -> Iterator[str]:
    levels = []
    for finding in examine(path, folder):
        levels.append(finding.level)
        yield finding.line()
    yield summary(levels)


def _loaded(path: Path) -> Config | None:
    try:
        return load(path)
    except ConfigError:
        return None


def _send(sink: Connection, section: str, lines: Iterable[str]) -> None:
    sink.send((section, None))
    try:
        for line in lines:
            sink.send((section, line))
    except OSError as error:
        sink.send((section, f"cannot be read ({error.strerror})"))


def _check(target: Path) -> None:
    """Find out before the long work whether the file may be written."""
    if os.path.lexists(target):
        raise _exists(target)
    folder = target.absolute().parent
    if not os.path.isdir(folder):
        raise ReportError(f"{target}: there is no such folder; make it, or name another place")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise ReportError(f"{target}: this user may not write there; name another place")


def _exists(target: Path) -> ReportError:
    return ReportError(f"{target}: exists already; name another file, or remove it")


VERSIONS: Mapping[str, Callable[[], Iterable[str]]] = {
    "system": versions.system,
    "packages": versions.packages,
    "OpenCV": versions.opencv,
    "GStreamer's elements": versions.gstreamer,
    "NVIDIA": versions.nvidia,
}
RECORDS: Mapping[str, Callable[[], Iterable[str]]] = {
    "devices": service_records.devices,
    "units": service_records.units,
    "journal": service_records.journal,
}
NUMBERED = frozenset({*VERSIONS, "devices", "model", "engines"})  # whose versions look like addresses, and have none
