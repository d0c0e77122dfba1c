"""Encodes the frames of one camera in a thread of its own, and cuts clips of events from them. Shell.

Frames that come while the encoder is busy are left out of clips; the frame loop never waits.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge import threads
from edge.detector import frame_size
from edge.history.clip_ring import ClipLengths, ClipRing, FinishedClip
from edge.history.encoder import Encoder, EncoderError, EncoderFormat, encoded_size, i420
from edge.history.encoders import ORDER, first_that_works
from edge.sources import Frame

log = logging.getLogger(__name__)

MOST_WAITING = 8  # frames
MOST_HELD = 500  # frames that an encoder may hold back
IDLE_SECONDS = 0.5
RETRY_SECONDS = 600.0  # after which encoders are tried again where none works
SILENCE_SECONDS = 2.0  # without a frame, after which the clips of ended events are not waited for
CLOSE_SECONDS = 3.0


@dataclass(frozen=True)
class ClipRecording:
    """How clips are made: `width`: pixels at most."""

    lengths: ClipLengths
    width: int
    encoders: tuple[str, ...] = ORDER


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A frame, and the events that are open after it: when each began, in seconds of the frames' clock."""

    frame: Frame
    open_events: Mapping[str, float]


class ClipRecorder:
    """One camera's. Any thread may call `frame` and `close`."""

    def __init__(self, camera: str, settings: ClipRecording, keep: Callable[[FinishedClip], None]) -> None:
        """`keep`: is given the clips, in another thread. Raises ThreadError."""
        self._camera, self._settings, self._keep = camera, settings, keep
        self._waiting: deque[_Waiting] = deque(maxlen=MOST_WAITING)
        self._filled = threading.Event()
        self._closed = False
        self._encoder: Encoder | None = None
        self._name = ""  # of the encoder that works
        self._order, self._retry_at, self._told = settings.encoders, 0.0, False
        self._size = (0, 0)  # of the camera's frames
        self._ring: ClipRing | None = None
        self._times: deque[float] = deque()  # of the frames that are in the encoder
        self._open: Mapping[str, float] = {}
        self._flush_at: float | None = None  # monotonic, s
        self._thread = threads.start(f"clips of {camera}", self._run)

    def frame(self, frame: Frame, open_events: Mapping[str, float]) -> None:
        """Take a frame; the oldest that waits gives way."""
        self._waiting.append(_Waiting(frame, open_events))
        self._filled.set()

    def no_more(self) -> None:
        """The camera's events have ended for want of frames: their clips end with the last one."""
        self._flush_at = time.monotonic() + SILENCE_SECONDS

    def close(self, wait: bool = True) -> None:
        """End the clips where they are; not `wait`: in its own time."""
        self._closed = True
        self._filled.set()
        if wait:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while True:
                self._filled.wait(IDLE_SECONDS)
                self._filled.clear()
                while self._waiting:
                    self._handle(self._waiting.popleft())
                if self._flush_at is not None and time.monotonic() >= self._flush_at:
                    self._flush_at = None
                    self._restart()
                if self._closed:
                    break
        finally:
            self._restart()

    def _handle(self, waiting: _Waiting) -> None:
        frame = waiting.frame
        size = frame_size(frame.image)
        if size != self._size:
            self._restart()
            self._size = size
        encoder = self._working_encoder()
        if encoder is None or self._ring is None:
            return
        for event_id, started in waiting.open_events.items():
            self._ring.begin(event_id, started)
        for event_id in self._open.keys() - waiting.open_events.keys():
            self._ring.end(event_id, frame.monotonic_time)
        self._open = waiting.open_events
        self._times.append(frame.monotonic_time)
        try:
            if len(self._times) > MOST_HELD:
                raise EncoderError(f"{self._name}: gives no frames")
            for encoded in encoder.encode(i420(frame.image, encoded_size(size, self._settings.width))):
                if not self._times:
                    raise EncoderError(f"{self._name}: gives more frames than it is given")
                self._emit(self._ring.add(encoded, self._times.popleft()))
        except EncoderError as error:
            self._next_encoder(error)

    def _working_encoder(self) -> Encoder | None:
        """The encoder for frames of this size; None where none works, which is said once."""
        if not self._order and time.monotonic() >= self._retry_at:
            self._order = self._settings.encoders
        if self._encoder is None and self._order:
            form = EncoderFormat(encoded_size(self._size, self._settings.width))
            try:
                name, self._encoder = first_that_works(form, self._say, self._order)
            except EncoderError as error:
                self._order, self._retry_at = (), time.monotonic() + RETRY_SECONDS
                if not self._told:
                    log.warning("camera %s: its events are kept without clips: %s", self._camera, error)
                self._told = True
                return None
            if name != self._name or self._told:
                log.info("camera %s: clips are encoded by %s", self._camera, name)
            self._told = False
            self._name, self._order = name, self._order[self._order.index(name) :]
            self._ring = ClipRing(form.size, self._settings.lengths)
        return self._encoder

    def _next_encoder(self, error: EncoderError) -> None:
        """One that has failed while it encoded is not tried again as long as there is another."""
        self._say(str(error))
        self._order = self._order[1:]
        self._restart(finish=False)

    def _say(self, fault: str) -> None:
        if self._told:
            return
        log.warning("camera %s: an encoder of clips fails, the next is tried: %s", self._camera, fault)

    def _emit(self, clips: list[FinishedClip]) -> None:
        for clip in clips:
            self._keep(clip)

    def _restart(self, finish: bool = True) -> None:
        """Finish all clips with the frames that there are; the next frame begins anew."""
        encoder, ring = self._encoder, self._ring
        self._encoder = self._ring = None
        self._open = {}
        if encoder is not None and ring is not None:
            try:
                for encoded in encoder.finish() if finish else ():
                    if self._times:
                        self._emit(ring.add(encoded, self._times.popleft()))
            except EncoderError as error:
                log.warning("camera %s: the end of a clip is missing: %s", self._camera, error)
            self._emit(ring.flush())
            encoder.close()
        self._times.clear()
