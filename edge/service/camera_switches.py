"""Which cameras were switched off over MQTT, in a file beside the outbox, so that a restart changes nothing. Shell."""

import json
import logging
from collections.abc import Collection
from pathlib import Path

from edge.files import write_atomically

log = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024


class CameraSwitches:
    """The switched-off cameras of this device, `disabled`; all others are on."""

    def __init__(self, path: Path, cameras: Collection[str], allowed: bool) -> None:
        """`cameras`: the configured ones. Where switching is not `allowed` all are on: nobody could switch them on."""
        self._path, self._allowed = path, allowed
        found = _read(path)
        self.disabled = frozenset(found & set(cameras)) if allowed else frozenset[str]()
        if allowed and found != self.disabled:
            self._store(self.disabled)
        if self.disabled:
            log.warning("switched off by an earlier request: %s; request/camera switches on", _names(self.disabled))
        elif found & set(cameras):
            ours = _names(found & set(cameras))
            log.warning("%s: was switched off, and is on, as [mqtt] allow_camera_switch is false", ours)

    def switch(self, camera: str, enabled: bool) -> bool:
        """Remember that a camera is on or off; whether that survives a restart."""
        disabled = self.disabled - {camera} if enabled else self.disabled | {camera}
        if disabled != self.disabled:
            log.info("camera %s: switched %s by a request over MQTT", camera, "on" if enabled else "off")
        return self._store(disabled)

    def keep_only(self, cameras: Collection[str]) -> None:
        """Forget cameras that are no longer configured; one of that name will be on."""
        if self.disabled - set(cameras):
            self._store(self.disabled & set(cameras))

    def _store(self, disabled: frozenset[str]) -> bool:
        self.disabled = disabled
        try:
            write_atomically(self._path, json.dumps({"disabled": sorted(disabled)}).encode())
        except OSError as error:
            log.warning(
                "%s: cannot be written (%s): a restart will forget which cameras are off; free space there, or make "
                "this user its owner", self._path, error.strerror,
            )  # fmt: skip
            return False
        return True


def _read(path: Path) -> frozenset[str]:
    """The cameras that the file names; none where it is missing, and none with a warning where it is damaged."""
    try:
        with path.open("rb") as file:
            names = json.loads(file.read(MAX_BYTES))["disabled"]
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return frozenset(names)
        reason = "is damaged"
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except (ValueError, RecursionError, LookupError, TypeError):
        reason = "is damaged"
    log.warning("%s %s: all cameras are on; switch off again those that should be off", path, reason)
    return frozenset()


def _names(cameras: Collection[str]) -> str:
    return ", ".join(sorted(cameras))
