"""Encodes H.264 in a process of gst-launch-1.0, which may fail without harm. Shell."""

import queue
import shutil
import subprocess
from collections.abc import Iterator

from edge import threads
from edge.history.encoder import I420, KEY_INTERVAL, EncoderError, EncoderFormat
from edge.history.h264 import EncodedFrame, FrameSplitter

END_SECONDS = 5.0
INSPECTION_SECONDS = 20.0
GSTREAMER = {  # element: its pipeline; the bitrate is in bit/s, x264's in kbit/s
    "nvv4l2h264enc": "nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! nvv4l2h264enc insert-sps-pps=true "
    "idrinterval={key} iframeinterval={key} bitrate={bits}",
    "x264enc": "x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max={key} bitrate={kilobits}",
    "openh264enc": "openh264enc complexity=low gop-size={key} bitrate={bits} multi-thread=1",
}


class GStreamerEncoder:
    """A process of gst-launch-1.0, which takes frames and gives H.264."""

    def __init__(self, element: str, form: EncoderFormat) -> None:
        """Raises EncoderError."""
        self._name = element
        self._splitter, self._frames = FrameSplitter(), queue.SimpleQueue[EncodedFrame | None]()
        try:
            self._process = subprocess.Popen(
                _nice_command(_gstreamer_command(element, form)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise EncoderError(f"{element}: cannot be started ({error.strerror})") from error
        threads.start(f"{element} output", self._read)

    def encode(self, image: I420) -> Iterator[EncodedFrame]:
        """As Encoder says."""
        assert self._process.stdin is not None
        try:
            rest = memoryview(image.tobytes())
            while rest:
                rest = rest[self._process.stdin.write(rest) or 0 :]
        except (OSError, ValueError) as error:
            raise EncoderError(f"{self._name}: has ended") from error
        while not self._frames.empty():
            frame = self._frames.get()
            if frame is None:
                raise EncoderError(f"{self._name}: has ended")
            yield frame

    def finish(self) -> Iterator[EncodedFrame]:
        """As Encoder says."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            while (frame := self._frames.get(timeout=END_SECONDS)) is not None:
                yield frame
        except queue.Empty:
            raise EncoderError(f"{self._name}: does not end") from None

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while content := self._process.stdout.read(1 << 16):
                for frame in self._splitter.add(content):
                    self._frames.put(frame)
            for frame in self._splitter.end():
                self._frames.put(frame)
        except (OSError, ValueError):
            self._process.kill()
        finally:
            self._frames.put(None)
            self._process.stdout.close()


def has_element(name: str) -> bool:
    """Whether GStreamer is there and has this element."""
    if not all(map(shutil.which, ("gst-launch-1.0", "gst-inspect-1.0"))):
        return False
    try:
        found = subprocess.run(["gst-inspect-1.0", "--exists", name], capture_output=True, timeout=INSPECTION_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0


def _gstreamer_command(element: str, form: EncoderFormat) -> list[str]:
    width, height = form.size
    encoder = GSTREAMER[element].format(key=KEY_INTERVAL, bits=form.bits, kilobits=form.bits // 1000)
    pipeline = (
        f"fdsrc fd=0 blocksize={width * height * 3 // 2} ! "
        f"rawvideoparse format=i420 width={width} height={height} framerate=25/1 ! videoconvert ! {encoder} ! "
        "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! fdsink fd=1 sync=false"
    )
    return ["gst-launch-1.0", "-q", *pipeline.split()]


def _nice_command(command: list[str]) -> list[str]:
    nice = shutil.which("nice")
    return command if nice is None else [nice, "-n", str(threads.NICENESS), *command]
