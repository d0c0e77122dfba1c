"""The thread that feeds the page's process: what waits for it, and its restart with growing pauses. Shell.

It makes pictures small and hands their pixels over: the page's process encodes them. Only the newest of each camera
waits; what browsers ask waits for the daemon's loop.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge import threads
from edge.detector import frame_size
from edge.sources import Frame
from edge.web.live_frame import MotionTile, small_picture
from edge.web.messages import PageMessage
from edge.web.page_process import PageProcess, PageProcessError
from edge.web.page_settings import PageSettings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # between two looks at what the page asks for
STATE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until it is started again
GOOD_SECONDS = 60.0  # of a run, after which the pauses begin anew
CLOSE_SECONDS = 5.0
MOST_QUESTIONS = 64  # that wait for the loop; the page's process asks fewer at once

Start = Callable[[PageSettings], PageProcess]


@dataclass(frozen=True)
class ShownFrame:
    """A frame on its way to browsers. `about`: the people on it; `motion`: none where nobody asked for it."""

    frame: Frame
    about: Mapping[str, object]
    motion: tuple[MotionTile, ...] = ()


class Feeder:
    """The thread, for the thread of the daemon's loop. `fps` and `width`: of pictures at most."""

    def __init__(
        self, settings: PageSettings, fps: float, width: int, start: Start, former: threading.Thread | None
    ) -> None:
        """Start once the thread `former` has released its port. Raises ThreadError."""
        self._settings, self._interval, self._width, self._start = settings, 1 / fps, width, start
        self._lock, self._filled = threading.Lock(), threading.Event()
        self._watched: frozenset[str] = frozenset()
        self._motion: frozenset[str] = frozenset()
        self._viewers = 0
        self._waiting: dict[str, ShownFrame] = {}  # by camera
        self._encoding = False  # whether the process is at a picture; it gets no other one, which it would not take
        self._taken_at: dict[str, float] = {}  # monotonic, s, by camera
        self._state: Mapping[str, object] | None = None
        self._state_at = 0.0
        self._questions: deque[Mapping[str, object]] = deque(maxlen=MOST_QUESTIONS)
        self._answers: deque[PageMessage] = deque()
        self._closed = False
        self._fault = ""  # last logged
        self._thread = threads.start("live page", self._run, former)

    def wants(self, frame: Frame) -> bool:
        """Whether somebody looks at its camera, and it is time for another picture."""
        due = self._taken_at.get(frame.camera, 0.0) + self._interval
        return frame.camera in self._watched and time.monotonic() >= due

    def wants_motion(self, camera: str) -> bool:
        """Whether somebody looks at its motion map too."""
        return camera in self._motion

    def put(self, shown: ShownFrame) -> None:
        """Take a frame; one of its camera that waits still gives way."""
        camera = shown.frame.camera
        self._taken_at[camera] = time.monotonic()
        with self._lock:
            self._waiting[camera] = shown
        self._filled.set()

    def wants_state(self) -> bool:
        """Whether somebody looks, and it is time."""
        return bool(self._viewers) and time.monotonic() - self._state_at >= STATE_SECONDS

    def put_state(self, state: Mapping[str, object]) -> None:
        """Take the daemon's state."""
        self._state_at = time.monotonic()
        with self._lock:
            self._state = state
        self._filled.set()

    def question(self) -> Mapping[str, object] | None:
        """What was asked longest ago and is not answered, once; None for nothing."""
        return self._questions.popleft() if self._questions else None

    def put_answer(self, header: Mapping[str, object], body: bytes = b"") -> None:
        """Send an answer."""
        self._answers.append(PageMessage(dict(header), body))
        self._filled.set()

    def end(self) -> threading.Thread:
        """Have process and thread end, without waiting; the thread."""
        self._closed = True
        self._filled.set()
        return self._thread

    def _run(self, former: threading.Thread | None) -> None:
        if former is not None:
            former.join(CLOSE_SECONDS)
        pause = FIRST_PAUSE
        while not self._closed:
            began = time.monotonic()
            try:
                self._serve()
            except PageProcessError as error:
                self._log_fault(str(error))
            self._viewers, self._watched, self._motion = 0, frozenset(), frozenset()
            self._questions.clear()
            self._answers.clear()
            pause = FIRST_PAUSE if time.monotonic() - began > GOOD_SECONDS else min(LONGEST_PAUSE, 2 * pause)
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._closed and time.monotonic() < until:
            self._filled.wait(POLL_SECONDS)
            self._filled.clear()

    def _serve(self) -> None:
        """Feed one process until it ends. Raises PageProcessError."""
        process = self._start(self._settings)
        self._encoding = False
        try:
            while not self._closed:
                self._filled.wait(POLL_SECONDS)
                self._filled.clear()
                for message in process.receive():
                    self._handle(message.header)
                self._send(process)
        finally:
            process.close()

    def _send(self, process: PageProcess) -> None:
        with self._lock:
            state, self._state = self._state, None
        while self._answers:
            process.send(*self._answers.popleft())
        if state is not None:
            process.send({"kind": "state", "state": state})
        if not self._encoding and (shown := self._next_picture()):
            self._encoding = True
            picture = small_picture(shown.frame.image, self._width)
            header = {"kind": "pixels", "camera": shown.frame.camera, "size": frame_size(picture), **shown.about}
            motion = {"frame_size": frame_size(shown.frame.image), "tiles": [_placed(one) for one in shown.motion]}
            process.send_pixels({**header, **motion}, (picture, *(one.brightness for one in shown.motion)))

    def _next_picture(self) -> ShownFrame | None:
        """That of the camera which has waited longest."""
        with self._lock:
            camera = next(iter(self._waiting), None)
            return None if camera is None else self._waiting.pop(camera)

    def _handle(self, header: Mapping[str, object]) -> None:
        """What the process says; of what is not understood nothing is done."""
        kind, text = header.get("kind"), str(header.get("text", ""))[:500]
        cameras, motion, viewers = header.get("cameras"), header.get("motion"), header.get("viewers")
        if kind == "watched" and isinstance(cameras, list) and isinstance(motion, list) and isinstance(viewers, int):
            if viewers > self._viewers:
                self._state_at = 0.0  # a newcomer waits for nothing
            self._watched, self._motion = frozenset(map(str, cameras)), frozenset(map(str, motion))
            self._viewers = viewers
        elif kind == "taken":
            self._encoding = False
        elif kind == "ask":
            self._questions.append(header)
        elif kind == "listening":
            self._fault = ""
            log.info("live page: %s", text)
        elif kind == "fault":
            raise PageProcessError(text)
        elif kind == "note":
            log.warning("live page: %s", text)

    def _log_fault(self, text: str) -> None:
        if text != self._fault:
            log.error("live page: %s; it is started again, everything else goes on", text)
        self._fault = text


def _placed(motion: MotionTile) -> tuple[int, ...]:
    """The tile, and its motion map's width and height."""
    return (*map(int, motion.tile), *frame_size(motion.brightness))
