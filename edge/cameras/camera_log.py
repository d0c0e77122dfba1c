"""What is logged of one live camera: changes of its state, and each reason once. Shell over logging."""

import logging
from collections.abc import Sequence
from typing import Literal

CameraState = Literal["online", "stalled", "offline"]
MAX_NOTES = 8  # of one camera

log = logging.getLogger("edge.cameras.live_camera")


class CameraLog:
    """Logs for one camera, and repeats nothing until it is online again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reasons: set[str] = set()  # since the camera was last online
        self._notes: set[str] = set()

    def online(self, how: str) -> None:
        """The camera has come online."""
        log.info("camera %s: online: %s", self._name, how)

    def recovered(self) -> None:
        """The camera gives frames: what is wrong from now on is new."""
        self._reasons.clear()

    def lost(self, state: CameraState, reason: str) -> None:
        """The camera is lost, for this reason."""
        if reason not in self._reasons:
            log.warning("camera %s: %s: %s; trying again", self._name, state, reason)
            self._reasons.add(reason)

    def once(self, sentence: str) -> None:
        """A sentence, once until the camera is online again."""
        if sentence not in self._reasons:
            log.warning("camera %s: %s", self._name, sentence)
            self._reasons.add(sentence)

    def notes(self, notes: Sequence[str]) -> None:
        """A process's notes, each once for as long as this object exists."""
        for note in notes:
            if note not in self._notes and len(self._notes) < MAX_NOTES:
                self._notes.add(note)
                log.warning("camera %s: %s", self._name, note)
