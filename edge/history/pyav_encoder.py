"""Encodes H.264 with libx264 as PyAV brings it, in the calling thread. Shell."""

import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from edge import threads
from edge.history.encoder import I420, KEY_INTERVAL, EncoderError, EncoderFormat
from edge.history.h264 import EncodedFrame, FrameSplitter


class PyavEncoder:
    """libx264 as PyAV brings it, in the calling thread, which becomes nice."""

    def __init__(self, form: EncoderFormat) -> None:
        """Raises EncoderError."""
        try:
            import av
            import av.error
        except ImportError as error:
            raise EncoderError(f"PyAV: cannot be imported ({error})") from error
        self._av, self._faults = av, (av.error.FFmpegError, ValueError)
        _be_nice()
        try:
            context: Any = av.CodecContext.create("libx264", "w")
            context.width, context.height = form.size
            context.pix_fmt, context.bit_rate = "yuv420p", form.bits
            context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
            context.gop_size, context.thread_count = KEY_INTERVAL, 1
            context.options = {"preset": "ultrafast", "tune": "zerolatency"}
            context.open()
        except self._faults as error:
            raise EncoderError(f"PyAV: has no libx264 ({error})") from error
        self._context, self._number = context, 0

    def encode(self, image: I420) -> Iterator[EncodedFrame]:
        """As Encoder says."""
        frame = self._av.VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts, self._number = self._number, self._number + 1
        yield from self._packets(frame)

    def finish(self) -> Iterator[EncodedFrame]:
        """As Encoder says."""
        yield from self._packets(None)

    def close(self) -> None:
        """Nothing to do."""

    def _packets(self, frame: Any) -> Iterator[EncodedFrame]:
        try:
            packets = self._context.encode(frame)
        except self._faults as error:
            raise EncoderError(f"PyAV: cannot encode ({error})") from error
        for packet in packets:
            splitter = FrameSplitter()
            yield from splitter.add(bytes(packet))
            yield from splitter.end()


def _be_nice() -> None:
    """Lower the priority of this thread, and of those that it starts; on Linux each has its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), threads.NICENESS)
    except OSError:
        return  # it is as nice as it may be
