"""Cuts clips of events out of a camera's own H.264, or out of its frames encoded anew, in a thread of its own. Shell.

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
from edge.history.encoder import EncoderError, EncoderFormat, encoded_size
from edge.history.encoders import ORDER, first_that_works
from edge.history.frame_encoder import ClipFrames, FrameEncoder, TimedFrames
from edge.history.stream_packets import StreamPackets
from edge.sources import Frame, Source

log = logging.getLogger(__name__)

MOST_WAITING = 8  # frames
IDLE_SECONDS = 0.5
RETRY_SECONDS = 600.0  # after which encoders are tried again where none works
SILENCE_SECONDS = 2.0  # without a frame, after which the clips of ended events are not waited for
CLOSE_SECONDS = 3.0
GOOD_SECONDS = 60.0  # of a camera's own stream, after which it is opened anew where it breaks off


@dataclass(frozen=True)
class ClipRecording:
    """How clips are made. `width`: pixels at most, where frames are encoded; `stream`: the source to copy, if any."""

    lengths: ClipLengths
    width: int
    encoders: tuple[str, ...] = ORDER
    stream: Source | None = None


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
        self._frames: ClipFrames | None = None  # what gives encoded frames now
        self._name = self._stream_fault = ""  # what works; what of its own stream was logged last
        self._copies = settings.stream is not None  # whether its own stream is worth a try
        self._order, self._retry_at, self._told = settings.encoders, 0.0, False
        self._size = (0, 0)  # of the camera's frames
        self._ring: ClipRing | None = None
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
                if not self._waiting:
                    self._take(None)  # a stream goes on
                while self._waiting:
                    self._handle(self._waiting.popleft())
                if self._flush_at is not None and time.monotonic() >= self._flush_at:
                    self._flush_at = None
                    self._restart()
                    self._copies = self._settings.stream is not None
                if self._closed:
                    break
        finally:
            self._restart()

    def _handle(self, waiting: _Waiting) -> None:
        frame = waiting.frame
        size = frame_size(frame.image)
        if size != self._size:
            self._restart()
            self._size, self._copies = size, self._settings.stream is not None
        if self._frames is None:
            self._frames = self._stream() or self._working_encoder()
        if self._ring is not None:
            for event_id, started in waiting.open_events.items():
                self._ring.begin(event_id, started)
            for event_id in self._open.keys() - waiting.open_events.keys():
                self._ring.end(event_id, frame.monotonic_time)
        self._open = waiting.open_events
        self._take(frame)

    def _take(self, frame: Frame | None) -> None:
        """Keep what is encoded by now, the camera's frame given, if there is one."""
        if self._frames is None:
            return
        try:
            self._keep_frames(self._frames.take(frame))
        except EncoderError as error:
            self._replace(self._frames, error)

    def _keep_frames(self, frames: TimedFrames) -> None:
        for encoded, seconds in frames:
            if self._ring is None and self._frames is not None:
                self._begin_ring(self._frames)  # now that the size of a stream is known
            if self._ring is not None:
                self._emit(self._ring.add(encoded, seconds))

    def _begin_ring(self, frames: ClipFrames) -> None:
        self._ring = ClipRing(frames.size, self._settings.lengths)
        if frames.name != self._name or self._told:
            width, height = frames.size
            how = f"copied from {frames.name}, {width}x{height}" if self._copies else f"encoded by {frames.name}"
            log.info("camera %s: clips are %s", self._camera, how)
        self._name, self._told = frames.name, False

    def _stream(self) -> ClipFrames | None:
        """The camera's own stream, where that may be copied."""
        if not self._copies or self._settings.stream is None:
            return None
        try:
            return StreamPackets(self._settings.stream)
        except EncoderError as error:
            self._no_stream(str(error))
            return None

    def _working_encoder(self) -> ClipFrames | None:
        """The encoder for frames of this size; None where none works, which is said once."""
        if not self._order and time.monotonic() >= self._retry_at:
            self._order = self._settings.encoders
        if not self._order:
            return None
        form = EncoderFormat(encoded_size(self._size, self._settings.width))
        try:
            name, encoder = first_that_works(form, self._say, self._order)
        except EncoderError as error:
            self._order, self._retry_at = (), time.monotonic() + RETRY_SECONDS
            if not self._told:
                log.warning("camera %s: its events are kept without clips: %s", self._camera, error)
            self._told = True
            return None
        self._order = self._order[self._order.index(name) :]
        found = FrameEncoder(name, encoder, form.size)
        self._begin_ring(found)
        return found

    def _replace(self, frames: ClipFrames, error: EncoderError) -> None:
        """What has failed is not tried again as long as there is another; a stream that was good is opened anew."""
        if isinstance(frames, StreamPackets):
            if not frames.lasted(GOOD_SECONDS):
                self._no_stream(str(error))
            self._restart()
        else:
            self._say(str(error))
            self._order = self._order[1:]
            self._restart(finish=False)

    def _no_stream(self, fault: str) -> None:
        """Until the camera comes anew, its frames are encoded."""
        self._copies = False
        if fault != self._stream_fault:
            self._stream_fault = fault
            log.info("camera %s: its own stream is not copied into clips, frames are encoded: %s", self._camera, fault)

    def _say(self, fault: str) -> None:
        if self._told:
            return
        log.warning("camera %s: an encoder of clips fails, the next is tried: %s", self._camera, fault)

    def _emit(self, clips: list[FinishedClip]) -> None:
        for clip in clips:
            self._keep(clip)

    def _restart(self, finish: bool = True) -> None:
        """Finish all clips with the frames that there are; the next frame begins anew."""
        frames, ring = self._frames, self._ring
        self._frames = self._ring = None
        self._open = {}
        if frames is None:
            return
        if ring is not None:
            try:
                for encoded, seconds in frames.finish() if finish else ():
                    self._emit(ring.add(encoded, seconds))
            except EncoderError as error:
                log.warning("camera %s: the end of a clip is missing: %s", self._camera, error)
            self._emit(ring.flush())
        frames.close()
