"""The live page as the daemon has it: it takes what somebody looks at, answers what they ask, never waits. Shell."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from edge import __version__, packages
from edge.config.config_file import state_directory
from edge.config.schema import Config
from edge.events import EventState
from edge.history.store_files import store_path
from edge.manifest import Manifest
from edge.packages import MissingPackageError
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.threads import ThreadError
from edge.web.feeder import CLOSE_SECONDS, Feeder, ShownFrame, Start
from edge.web.live_frame import motion_tiles, people
from edge.web.page_process import PageProcess
from edge.web.page_settings import PageSettings
from edge.web.score_history import STEP, ScoreHistory

log = logging.getLogger(__name__)

MOST_ANSWERS = 8  # between two frames


class PageRequests(Protocol):
    """Who answers what the page asks of the configuration. `revision`: another one with each configuration."""

    @property
    def revision(self) -> str:
        """Of the configuration in force."""

    def answer(self, op: str, data: Mapping[str, Any]) -> dict[str, object]:
        """The answer to a question."""


class LivePage:
    """For the thread of the daemon's loop."""

    def __init__(
        self, config: Config, manifest: Manifest, start: Start = PageProcess, path: Path | None = None
    ) -> None:
        """`path`: of the configuration's file."""
        self._manifest, self._start, self._config, self._path = manifest, start, config, path
        self._scores = ScoreHistory(len(manifest.labels))
        self._feeder: Feeder | None = None
        self._begin(config)

    def frame(self, frame: Frame, state: EventState, result: StepResult) -> None:
        """Note a frame's scores, and hand it over if somebody looks at its camera; `state`: after it."""
        if self._feeder is None:
            return
        self._scores.add(frame.camera, time.monotonic(), result.tube_boxes)
        if not self._feeder.wants(frame):
            return
        seen = people(frame, state, result, self._manifest.labels, self._config.mqtt.people_score)
        about = {"people": seen, "index": frame.index, "time": frame.unix_time}
        shows_motion = self._feeder.wants_motion(frame.camera)
        motion = motion_tiles(frame.image, result, self._manifest) if shows_motion else ()
        self._feeder.put(ShownFrame(frame, about, motion))

    def state(self, read: Callable[[], Mapping[str, object]]) -> None:
        """Hand over the daemon's state, once a second, while somebody looks; `read`: called for it."""
        if self._feeder is not None and self._feeder.wants_state():
            self._feeder.put_state(read())

    def answer(self, requests: PageRequests) -> None:
        """Answer what browsers have asked."""
        for _ in range(MOST_ANSWERS):
            asked = None if self._feeder is None else self._feeder.question()
            if asked is None or self._feeder is None:
                return
            op, data, number = str(asked.get("op")), asked.get("data"), asked.get("number")
            data = data if isinstance(data, dict) else {}
            if op == "scores":
                header, body = self._scores_since(str(data.get("camera")), data.get("after"), requests.revision)
            else:
                header, body = {"data": requests.answer(op, data)}, b""
            self._feeder.put_answer({"kind": "answer", "number": number, **header}, body)

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration."""
        before, self._config = self._config, config
        self._scores.keep_only(config.cameras)
        if config.web != before.web:
            former, self._feeder = self._feeder, None
            self._begin(config, None if former is None else former.end())

    def close(self) -> None:
        """End the page."""
        if self._feeder is not None:
            self._feeder.end().join(CLOSE_SECONDS)
            self._feeder = None

    def _scores_since(self, camera: str, after: object, revision: str) -> tuple[dict[str, object], bytes]:
        """A camera's scores from a slot on, as the page has them."""
        part = self._scores.since(camera, time.monotonic(), after if isinstance(after, int) else 0)
        return {"first": part.first, "now": part.now, "step": STEP, "revision": revision}, part.content

    def _begin(self, config: Config, former: threading.Thread | None = None) -> None:
        """Start the page, once the `former` one has released its port."""
        if not config.web.enabled:
            return
        try:
            for package in ("aiohttp", "argon2"):
                packages.require(package)
            self._feeder = Feeder(
                page_settings(config, self._path), config.web.fps, config.web.width, self._start, former
            )
        except (MissingPackageError, ThreadError) as error:
            log.error("live page: %s; everything else goes on", error)


def page_settings(config: Config, path: Path | None = None) -> PageSettings:
    """What the page's process has to know of a configuration; `path`: of its file."""
    table = config.web
    store = store_path(state_directory(config.outbox), config.device.name).absolute()
    return PageSettings(
        config.device.name, __version__, table.address, table.port, table.hosts, str(table.password_file or ""),
        str(table.cert or ""), str(table.key or ""), str(store), "" if path is None else str(path.absolute()),
    )  # fmt: skip
