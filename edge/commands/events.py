"""`korsal-edge events`: lists what the event store holds, and copies pictures and clips out of it."""

import argparse
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edge import files
from edge.cameras.video_file import CaptureError
from edge.config.config_file import ConfigError, load, state_directory
from edge.config.schema import Config, DeviceConfig, OutboxConfig
from edge.doctor import doctor
from edge.history import search
from edge.history.clip_writer import cut_from_video
from edge.history.encoder import EncoderError
from edge.history.event_listing import as_json, csv_text, no_clip, points_json
from edge.history.search import EventFilter, FoundEvent
from edge.history.store_files import store_path

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class EventsError(Exception):
    """A picture or clip that cannot be had; the message names the event and the remedy."""


@dataclass(frozen=True)
class Extracts:
    """Where an event's clip and picture are to go; None: nowhere."""

    clip: Path | None = None
    picture: Path | None = None


def configured_store(config_file: Path | None) -> Path:
    """The event store of a configuration, None for that of all defaults.

    Raises ConfigError, but not for what a store does not need.
    """
    if config_file is None:
        return store_path(state_directory(OutboxConfig()), DeviceConfig().name)
    try:
        config = load(config_file)
    except ConfigError as error:
        if error.usable is None:
            raise
        config = error.usable
    return store_path(_state_directory(config_file, config), config.device.name)


def _state_directory(config_file: Path, config: Config) -> Path:
    """As the daemon has it: the installed service's is given by systemd, which a command line does not see."""
    given = config.outbox.directory is not None or "STATE_DIRECTORY" in os.environ
    installed = config_file.absolute() == doctor.INSTALLED and not given
    return Path(doctor.SERVICE_STATE) if installed else state_directory(config.outbox)


def list_events(store: Path, wanted: EventFilter, form: str | None) -> int:
    """Print the events that fit; `form`: json (a line each), csv, or None for a table. Raises StoreError."""
    found = search.find(store, wanted)
    if form == "csv":
        print(csv_text(map(as_json, found)), end="")
    elif form == "json":
        for event in found:
            print(json.dumps(as_json(event), ensure_ascii=False))
    else:
        for event in found:
            print(event_line(event))
        print(f"{len(found)} event{'s' * (len(found) != 1)}", file=sys.stderr)
    return 0


def show_event(store: Path, event_id: str, form: str | None, extracts: Extracts) -> int:
    """Print one event, in JSON with its tube, or copy its clip and picture. Raises StoreError, EventsError."""
    event = search.find_one(store, event_id)
    if extracts.picture is not None:
        _copy(event.picture, extracts.picture, f"event {event.event_id} has no picture: [history] pictures was off")
    if extracts.clip is not None:
        _copy_clip(event, extracts.clip)
    if form == "json":
        points = points_json(search.tube(store, event))
        print(json.dumps({**as_json(event), "points": points}, ensure_ascii=False))
    elif form == "csv":
        print(csv_text([as_json(event)]), end="")
    elif extracts == Extracts():
        print(event_line(event))
    return 0


def event_line(event: FoundEvent) -> str:
    """One event as a readable line: when, where, what, best score, how long, what is kept, its id."""
    payload = event.payload
    length = f"{payload['duration']:.1f} s" if event.ended else "goes on"
    kept = " ".join(name for name in ("picture", "clip") if getattr(event, name) is not None)
    return (
        f"{_when(event)}  {event.camera:16}  {event.action:16}  {event.score:.2f}  {length:>8}  {kept:12}  "
        f"{event.event_id}"
    )


def since(text: str) -> float:
    """The unix time (s) of `2h`, `30m`, `7d` ago, or of an ISO date or time, in this machine's zone if it has none.

    Raises ArgumentTypeError.
    """
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        return time.time() - float(found[1]) * UNITS[found[2]]
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        problem = f"{text}: give a time span as 90s, 30m, 2h or 7d, or a time as 2026-01-31T12:00"
        raise argparse.ArgumentTypeError(problem) from None


def _when(event: FoundEvent) -> str:
    """When it started: of a camera by the clock, in UTC; of a video from its beginning."""
    started = datetime.fromisoformat(str(event.payload["started"]).replace("Z", "+00:00"))
    if event.video is None:
        return started.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    minutes, seconds = divmod(started.timestamp(), 60)
    return f"{int(minutes // 60):13}:{int(minutes % 60):02}:{int(seconds):02} "


def _copy_clip(event: FoundEvent, target: Path) -> None:
    """Copy the clip, or cut it from the video that the event was found in. Raises EventsError."""
    if event.clip is None and event.video is not None:
        try:
            content = cut_from_video(event)
        except (CaptureError, EncoderError, ValueError) as error:
            raise EventsError(f"event {event.event_id} has no clip: {error}") from error
        _write(content, target)
    else:
        _copy(event.clip, target, no_clip(event))


def _copy(source: Path | None, target: Path, why_not: str) -> None:
    """Copy a file whole or not at all. Raises EventsError."""
    if source is None:
        raise EventsError(why_not)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise EventsError(f"{source}: cannot be read ({error.strerror}): it may just have been deleted") from error
    _write(content, target)


def _write(content: bytes, target: Path) -> None:
    """Write a file whole or not at all, and print its name. Raises EventsError."""
    try:
        files.write_atomically(target, content)
    except OSError as error:
        raise EventsError(f"{target}: cannot be written ({error.strerror}): choose another place") from error
    print(target)
