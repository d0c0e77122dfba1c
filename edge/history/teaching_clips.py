"""The folder of clips of doubtful moments, to teach a model with: bounded, for this user alone. Shell."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.history import doubts
from edge.history.clip_names import FACTS
from edge.history.clip_ring import FinishedClip
from edge.history.doubts import Doubt
from edge.history.store_files import CLIP
from edge.history.teaching_folder import write

log = logging.getLogger(__name__)

MOST_WAITING = 100  # doubts whose clips have not come


@dataclass(frozen=True)
class TeachingLimits:
    """How many clips, and bytes of them, are kept at most; beyond it the oldest go."""

    clips: int
    size: int


class TeachingClips:
    """The folder; any thread may call it."""

    def __init__(self, folder: Path, limits: TeachingLimits) -> None:
        self.folder, self._limits = folder, limits
        self._lock = threading.Lock()
        self._doubts: dict[str, Doubt] = {}  # whose clips are to come
        self._fault = ""

    def expect(self, decided: Iterable[Doubt]) -> None:
        """Keep the clips of these when they come."""
        with self._lock:
            self._doubts |= {one.name: one for one in decided}
            while len(self._doubts) > MOST_WAITING:
                del self._doubts[next(iter(self._doubts))]

    def keep(self, clip: FinishedClip) -> None:
        """Write a clip of a doubt that is expected, and forget any other; what the disk refuses is said once."""
        with self._lock:
            doubt = self._doubts.pop(clip.event_id, None)
            if doubt is None:
                return
            try:
                facts = {**doubts.as_json(doubt), "clip_start": round(clip.start, 3)}
                write(self.folder, doubt.name, facts, clip.content)
                self._prune()
                self._fault = ""
            except OSError as error:
                reason = error.strerror or str(error)
                if reason != self._fault:
                    log.error("%s: clips for teaching cannot be kept (%s): free its disk", self.folder, reason)
                self._fault = reason

    def _prune(self) -> None:
        """Delete the oldest beyond the limits."""
        kept = sorted(self.folder.glob(f"*{CLIP}"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
        total = 0
        for place, path in enumerate(kept):
            total += path.stat().st_size
            if place and (place >= self._limits.clips or total > self._limits.size):
                path.unlink(missing_ok=True)
                path.with_suffix(FACTS).unlink(missing_ok=True)
