"""The daemon's side of the process that copies a camera's own H.264 stream. Shell.

A second connection to the camera: what decodes its pictures for detection gives none of its packets, and neither the
loss of this one nor what a camera sends over it touches detection.
"""

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edge.cameras.gstreamer_pipelines import is_rtsp
from edge.child_environment import child_environment
from edge.history.encoder import EncoderError
from edge.history.h264 import PPS, SPS, EncodedFrame, kind, units
from edge.history.stream_clock import StreamClock
from edge.history.stream_messages import StreamForm, StreamPacket, StreamUnpacker
from edge.sources import Frame, Source, to_json

PROGRAM = (sys.executable, "-m", "edge.history.stream_worker")
NAME = "its own stream"
FIRST_SECONDS = 25.0  # until it says what the stream is: one transport may be tried after the other
KEY_SECONDS = 30.0  # until the first key frame
SILENCE_SECONDS = 10.0  # without a packet, while the camera gives frames
END_SECONDS = 1.0
MOST_READ = 1 << 18  # bytes at once


def can_be_copied(source: Source) -> bool:
    """Whether its stream may show what its frames show: an RTSP camera, neither turned nor masked."""
    return is_rtsp(source) and not source.mask and source.flip == "none" and source.rotation == 0


class StreamPackets:
    """The packets of one camera's stream: the frames of its clips. `size`: (width, height), (0, 0) until it is known.

    Raises EncoderError where its process cannot be started.
    """

    name = NAME

    def __init__(self, source: Source, program: Sequence[str] = PROGRAM) -> None:
        self.size = (0, 0)
        self._parameters: tuple[bytes, ...] = ()
        self._since_key: float | None = None  # monotonic, s: since the first key frame
        self._since = time.monotonic()
        self._heard = self._since
        self._clock, self._unpacker = StreamClock(), StreamUnpacker()
        try:
            self._channel, theirs = socket.socketpair()
        except OSError as error:
            raise EncoderError(f"no process can be started to copy it ({error.strerror})") from error
        try:
            with theirs:
                self._channel.sendall(to_json(replace(source, avoided=())).encode())
                self._process = subprocess.Popen(
                    [*program, str(theirs.fileno())], pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, start_new_session=True, env=child_environment(),
                )  # fmt: skip
        except OSError as error:
            self._channel.close()
            raise EncoderError(f"no process can be started to copy it ({error.strerror})") from error

    def take(self, frame: Frame | None) -> Iterator[tuple[EncodedFrame, float]]:
        """What has come since, with times, monotonic, s; `frame`: None where the camera has given none meanwhile.

        Raises EncoderError.
        """
        while select.select([self._channel], [], [], 0)[0]:
            try:
                content = self._channel.recv(MOST_READ)
                if not content:
                    raise EncoderError("the process that copies it has ended")
                for message in self._unpacker.add(content):
                    if isinstance(message, str):
                        raise EncoderError(message)
                    if isinstance(message, StreamForm):
                        self._begin(message)
                    else:
                        yield from self._packet(message)
            except (OSError, ValueError) as error:
                raise EncoderError(f"the process that copies it talks nonsense ({error})") from error
        self._check_patience(frame)

    def finish(self) -> Iterator[tuple[EncodedFrame, float]]:
        """Nothing is held back."""
        return iter(())

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def lasted(self, seconds: float) -> bool:
        """Whether it has given pictures for so long."""
        return self._since_key is not None and time.monotonic() - self._since_key >= seconds

    def _begin(self, form: StreamForm) -> None:
        if form.codec != "h264":
            raise EncoderError(f"it is no H.264 but {form.codec}")
        if not all(form.size):
            raise EncoderError("it does not say its size")
        self.size = form.size
        self._parameters = tuple(unit for unit in units(form.parameters) if kind(unit) in (SPS, PPS))

    def _packet(self, packet: StreamPacket) -> Iterator[tuple[EncodedFrame, float]]:
        self._heard = time.monotonic()
        frame = EncodedFrame(units(packet.content))
        own = tuple(unit for unit in frame.units if kind(unit) in (SPS, PPS))
        if not set(own) <= set(self._parameters):
            if self._since_key is not None:
                raise EncoderError("its form has changed")
            self._parameters = own
        if self._since_key is None:
            if not frame.key:
                return
            self._check_parameters()
            self._since_key = time.monotonic()
            frame = EncodedFrame((*self._parameters, *frame.units))
        yield frame, self._clock.time(packet.seconds, packet.arrived, frame.key)

    def _check_parameters(self) -> None:
        """An MP4 of ours names one set of either kind."""
        if sorted(kind(unit) for unit in self._parameters) != [SPS, PPS]:
            raise EncoderError("it has not one set of parameters")

    def _check_patience(self, frame: Frame | None) -> None:
        now = time.monotonic()
        if self._since_key is None and now - self._since > (KEY_SECONDS if any(self.size) else FIRST_SECONDS):
            raise EncoderError(
                "it gives no key frame, at which a clip could begin" if any(self.size) else "it is silent"
            )
        if frame is not None and self._since_key is not None and now - self._heard > SILENCE_SECONDS:
            raise EncoderError("it has fallen silent")
