"""A capture process with a fake camera. Needs what the real one needs: numpy and OpenCV.

Usage: `python fake_camera.py PLAN MEMORY CHANNEL`, as the `program` of a LiveCamera. The source's path names a file
by which a test steers the camera.
"""

import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cameras.capture_worker import main
from edge.cameras.gstreamer_pipelines import BackendCandidate, InstalledElements, backend_candidates
from edge.cameras.reader_control import ReaderControl
from edge.cameras.source_reader import CapturedImage, Images, read_candidates
from edge.sources import Source

SHAPE = (120, 160, 3)
SECONDS = 0.02  # between two frames
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
    "stand_in": stand_in,
}

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])), PLANS[sys.argv[1]]))
