"""Clips copied from an RTSP camera's own H.264: a real server, the real process, and what happens without them."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from edge import sources
from edge.history.clip_recorder import ClipRecorder, ClipRecording
from edge.history.clip_ring import ClipLengths, FinishedClip
from edge.history.encoder import EncoderError
from edge.history.encoders import available
from edge.history.stream_messages import HEAD, StreamForm, pack
from edge.history.stream_packets import StreamPackets, can_be_copied
from edge.sources import Frame
from tests.support.ports import free_port
from tests.support.system_gstreamer import require_server, rtsp_server
from tests.support.waiting import wait_for

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'korsal-edge[clips]'")

LENGTHS = ClipLengths(before=0.5, after=0.2, most=30.0)


class Door:
    """A camera whose frames come as fast as a test gives them, at the time of this machine."""

    def __init__(self, port: int, login: str = "", encoders: tuple[str, ...] = ()) -> None:
        source = sources.parse(f"rtsp://{login}127.0.0.1:{port}/live")
        self.clips: list[FinishedClip] = []
        settings = ClipRecording(LENGTHS, 1280, encoders, source)
        self.recorder = ClipRecorder("door", settings, self.clips.append)

    def frame(self, open_events: dict[str, float]) -> None:
        image = np.zeros((96, 128, 3), np.uint8)
        self.recorder.frame(Frame("door", 0, time.time(), time.monotonic(), image), open_events)

    def play_until(self, condition: Callable[[], object], open_events: dict[str, float]) -> None:
        def holds() -> bool:
            self.frame(open_events)
            return bool(condition())

        wait_for(holds, "what the frames bring")


def shown(clip: FinishedClip, folder: Path) -> list[float]:
    """Seconds at which each frame of an H.264 clip of 320x240 is shown, all decoded."""
    path = folder / "clip.mp4"
    path.write_bytes(clip.content)
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.width, context.height) == ("h264", 320, 240)
        return [float(frame.time) for frame in file.decode(video=0)]


def workers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "edge.history.stream_worker" in one.cmdline()]


def lasts(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def test_a_clip_is_the_camera_s_own_stream(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No encoder is there, so nothing else can have made it; the password is in no command line."""
    require_server()
    caplog.set_level(logging.INFO)
    port = free_port()
    with rtsp_server(port, "h264", "viewer:s3cret"):
        door = Door(port, "viewer:s3cret@")
        door.play_until(lambda: "clips are copied from its own stream, 320x240" in caplog.text, {})
        begun = time.monotonic()
        door.play_until(lasts(1.5), {"a": begun})
        (worker,) = workers()
        words = worker.cmdline()
        door.play_until(lambda: door.clips, {})
        door.recorder.close()
    assert not [word for word in words if "rtsp:" in word]
    (clip,) = door.clips
    times = shown(clip, tmp_path)
    assert len(times) >= 25
    assert times == sorted(times)
    assert np.diff(times).max() < 0.5  # the stream's own 25 a second, none left out by a busy machine
    assert -3 < clip.start <= 0
    assert times[-1] + clip.start > 1.0
    assert workers() == []


def test_a_camera_without_h264_is_encoded(caplog: pytest.LogCaptureFixture) -> None:
    require_server()
    here = tuple(available())
    if not here:
        pytest.skip("no encoder is here: pip install 'korsal-edge[clips]'")
    caplog.set_level(logging.INFO)
    port = free_port()
    with rtsp_server(port, "jpeg"):
        door = Door(port, encoders=here)
        door.play_until(lambda: f"clips are encoded by {here[0]}" in caplog.text, {})
        door.play_until(lasts(0.2), {"a": time.monotonic()})
        door.recorder.close()
    assert "is not copied into clips, frames are encoded: it is no H.264 but mjpeg" in caplog.text
    assert [clip.event_id for clip in door.clips] == ["a"]


def test_a_stream_that_breaks_off_ends_its_clip_and_the_next_is_encoded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_server()
    here = tuple(available())
    caplog.set_level(logging.INFO)
    port = free_port()
    with rtsp_server(port, "h264"):
        door = Door(port, encoders=here)
        door.play_until(lambda: "copied from" in caplog.text, {})
        begun = time.monotonic()
        door.play_until(lasts(1.0), {"a": begun})
        (worker,) = workers()
        os.kill(worker.pid, signal.SIGKILL)
        door.play_until(lambda: door.clips, {"a": begun})
    assert len(shown(door.clips[0], tmp_path)) >= 10
    assert "frames are encoded: the process that copies it has ended" in caplog.text
    if here:
        door.play_until(lambda: "clips are encoded by" in caplog.text, {})
    door.recorder.close()


@pytest.mark.parametrize(
    ("uri", "options", "copied"),
    [
        ("rtsp://camera/live", {}, True),
        ("rtsps://user:word@camera/live", {}, True),
        ("rtsp://camera/live", {"mask": [((0, 0), (1, 0), (1, 1))]}, False),
        ("rtsp://camera/live", {"rotation": 90}, False),
        ("rtsp://camera/live", {"flip": "both"}, False),
        ("http://camera/video", {}, False),
        ("/dev/video0", {}, False),
    ],
)
def test_only_what_its_frames_show_may_be_copied(uri: str, options: dict[str, object], copied: bool) -> None:
    assert can_be_copied(sources.parse(uri, **options)) == copied  # type: ignore[arg-type]


SAYS = "import sys, socket; s = socket.socket(fileno=int(sys.argv[1])); s.recv(9999); s.sendall(bytes.fromhex('{}'))"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (b"x" * 100, "talks nonsense"),
        (HEAD.pack(b"p", 1 << 30, 0, 0), "talks nonsense"),
        (pack(StreamForm("hevc", (64, 48), b"")), "no H.264 but hevc"),
        (pack(StreamForm("h264", (0, 0), b"")), "does not say its size"),
        (pack("its stream\nhas ended"), r"its stream\?has ended"),
        (b"", "has ended"),
    ],
)
def test_a_process_gone_mad_costs_the_copy_alone(said: bytes, fault: str) -> None:
    packets = StreamPackets(sources.parse("rtsp://camera/live"), (sys.executable, "-c", SAYS.format(said.hex())))
    with pytest.raises(EncoderError, match=fault):
        wait_for(lambda: list(packets.take(None)), "its fault")
    packets.close()


def test_a_camera_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.history.stream_packets.FIRST_SECONDS", 0.0)
    packets = StreamPackets(sources.parse("rtsp://camera/live"), (sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(EncoderError, match="it is silent"):
        list(packets.take(None))
    packets.close()
