"""A capture process with a fake camera. Needs what the real one needs: numpy and OpenCV.

Usage: `python fake_camera.py PLAN MEMORY CHANNEL`, as the `program` of a LiveCamera. The source's path names a file
by which a test steers the camera.
"""

import itertools
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cameras.capture_worker import main
from edge.cameras.gstreamer_pipelines import BackendCandidate, InstalledElements, backend_candidates, in_order
from edge.cameras.reader_control import ReaderControl
from edge.cameras.source_reader import CapturedImage, Images, read_candidates
from edge.cameras.video_file import CaptureError
from edge.sources import Source

SHAPE = (120, 160, 3)
SECONDS = 0.02  # between two frames
TEST_IMAGES = "videotestsrc is-live=true pattern=ball ! video/x-raw, width=160, height=120, framerate=25/1"
HANGS = f"{TEST_IMAGES} ! valve drop=true"
STOPS = (
    f"{TEST_IMAGES.replace('is-live', 'num-buffers=20 is-live')} ! images. {TEST_IMAGES} ! valve drop=true ! images. "
    "funnel name=images"
)
JETSON: InstalledElements = {
    "decodebin": frozenset(),
    "filesrc": frozenset(),
    "nvarguscamerasrc": frozenset(),
    "nvvidconv": frozenset({"flip-method"}),
    "nvv4l2decoder": frozenset(),
    "h264parse": frozenset(),
    "h264timestamper": frozenset(),
    "h265parse": frozenset(),
    "h265timestamper": frozenset(),
    "jpegparse": frozenset(),
    "queue": frozenset({"leaky", "max-size-buffers", "max-size-bytes", "max-size-time"}),
    "rtph264depay": frozenset({"request-keyframe", "wait-for-keyframe"}),
    "rtph265depay": frozenset(),
    "rtspsrc": frozenset({"protocols"}),
    "v4l2src": frozenset(),
    "jpegdec": frozenset(),
    "videoconvert": frozenset(),
}
STAND_INS = (
    ("nvarguscamerasrc sensor-id=0", "videotestsrc is-live=true pattern=smpte"),
    ("h264timestamper ! nvv4l2decoder", "h264timestamper ! avdec_h264"),
    ("h265timestamper ! nvv4l2decoder", "h265timestamper ! avdec_h265"),
    ("nvvidconv flip-method=3", "videoconvert ! videoflip video-direction=90r ! videoscale"),
    ("nvvidconv flip-method=0", "videoconvert ! videoscale"),
    ("(memory:NVMM)", ""),
    ('v4l2src device="/dev/null" ! image/jpeg', "videotestsrc is-live=true pattern=smpte ! jpegenc ! image/jpeg"),
)


def freezing(source: Source, control: ReaderControl) -> Images:
    """Noise, but the same picture again and again while the file exists."""
    while not control.stopped:
        time.sleep(SECONDS)
        frozen = Path(source.target).exists()
        yield CapturedImage(np.full(SHAPE, 100, np.uint8) if frozen else noise(), "freezing")


def still(source: Source, control: ReaderControl) -> Images:
    """A scene in which nothing moves, as a sensor gives it: a few pixels differ by one."""
    while not control.stopped:
        image = np.full(SHAPE, 100, np.uint8)
        image[noise()[..., 0] < 3] += 1
        time.sleep(SECONDS)
        yield CapturedImage(image, "still")


def silent(source: Source, control: ReaderControl) -> Images:
    """Feeds, but nothing while the file exists: as a pipe that stops."""
    while not control.stopped:
        time.sleep(SECONDS)
        if not Path(source.target).exists():
            yield CapturedImage(noise(), "silent")


def garbled(source: Source, control: ReaderControl) -> Images:
    """A process that was taken over: sends its parent nonsense, of the kind that the source's path names."""
    replies = {"cut": b'{"fault": "half a', "deep": b"[" * 60_000, "other": b'{"fault": {}}', "bytes": b"\xff\xfe"}
    socket.socket(fileno=os.dup(int(sys.argv[3]))).send(replies[Path(source.target).name])
    yield from still(source, control)


def hoarding(source: Source, control: ReaderControl) -> Images:
    """A stream of which its reader forgets nothing."""
    kept = []
    for picture in still(source, control):
        kept.append(np.ones(4 << 20, np.uint8))
        yield picture


def choosing(source: Source, control: ReaderControl) -> Images:
    """Two decoders: `best` gives nothing while the file exists, `other` always works."""
    both = [BackendCandidate("gstreamer", name, name) for name in ("best", "other")]
    for chosen, following in itertools.pairwise([*in_order(both, source.avoided), None]):
        assert chosen is not None
        control.announce(chosen.target, following.target if following else "")
        while not control.stopped:
            time.sleep(SECONDS)
            if chosen.target == "other" or not Path(source.target).exists():
                yield CapturedImage(noise(), chosen.target)


def releasing(source: Source, control: ReaderControl) -> Images:
    """Leaves a file beside the other when it has released its camera; silent while that one exists."""
    try:
        yield from silent(source, control)
    finally:
        Path(f"{source.target}.{os.getpid()}").touch()


def silent_argus(source: Source, control: ReaderControl) -> Images:
    """What a stuck Argus writes, and then no image."""
    os.write(2, b"Error generated. /dvs/gstnvarguscamerasrc.cpp, execute:751 Failed to create CaptureSession\n")
    raise CaptureError("csi://0: cannot be opened")
    yield from still(source, control)


def hanging_first(source: Source, control: ReaderControl) -> Images:
    """A real pipeline that never gives an image, then one that does."""
    return read_candidates(source, pipelines(HANGS), control)


def hanging_later(source: Source, control: ReaderControl) -> Images:
    """A real pipeline that stops after twenty images, then one that does not."""
    return read_candidates(source, pipelines(STOPS), control)


def hanging_ffmpeg(source: Source, control: ReaderControl) -> Images:
    """FFmpeg for an RTSP camera that may not answer, then a pipeline that does not ask it."""
    ffmpeg = BackendCandidate("ffmpeg", source.target, "FFmpeg")
    return read_candidates(source, [ffmpeg, pipelines(HANGS)[1]], control)


def pipelines(hanging: str) -> list[BackendCandidate]:
    sink = "videoconvert ! video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"
    texts = {"hanging decoder": f"{hanging} ! {sink}", "other decoder": f"{TEST_IMAGES} ! {sink}"}
    return [BackendCandidate("gstreamer", text, name) for name, text in texts.items()]


def large(source: Source, control: ReaderControl) -> Images:
    """A camera of 4K behind a decoder in hardware, which the pipeline scales."""
    text = "videotestsrc is-live=true pattern=ball ! video/x-raw, width=3840, height=2160, framerate=10/1 ! videoscale "
    sink = "appsink drop=true max-buffers=1 sync=false"
    text += f"! videoconvert ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR ! {sink}"
    return read_candidates(source, [BackendCandidate("gstreamer", text, "hardware", scalable=True)], control)


def stand_in(source: Source, control: ReaderControl) -> Images:
    """A Jetson's pipelines with elements that are everywhere in the place of those that are not."""
    return read_candidates(source, [replaced(candidate) for candidate in backend_candidates(source, JETSON)], control)


def replaced(candidate: BackendCandidate) -> BackendCandidate:
    text = candidate.target
    for theirs, ours in STAND_INS:
        text = text.replace(theirs, ours)
    return replace(candidate, target=text)


def noise() -> NDArray[np.uint8]:
    return np.frombuffer(np.random.default_rng().bytes(int(np.prod(SHAPE))), np.uint8).reshape(SHAPE).copy()


PLANS = {
    "freezing": freezing,
    "still": still,
    "silent": silent,
    "garbled": garbled,
    "hoarding": hoarding,
    "choosing": choosing,
    "releasing": releasing,
    "silent_argus": silent_argus,
    "hanging_first": hanging_first,
    "hanging_later": hanging_later,
    "hanging_ffmpeg": hanging_ffmpeg,
    "large": large,
    "stand_in": stand_in,
}

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])), PLANS[sys.argv[1]]))
