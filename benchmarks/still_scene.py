"""How long H.264 repeats the very same image of a still scene.

/usr/bin/python3 -m benchmarks.still_scene

Needs an OpenCV with GStreamer, and x264 (gstreamer1.0-plugins-ugly). A textured scene of 1280x720 in which nothing
moves, with a sensor's noise of sigma levels, is encoded for ten seconds at 25 frames per second and decoded again.
"""

import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.image_transform import fingerprint

SIZE, FPS, FRAMES = (1280, 720), 25, 250
ENCODINGS = ((4000, 2), (1000, 2), (1000, 10), (300, 10))  # kbit/s, seconds between key frames
SIGMAS = (0.0, 0.5, 1.0, 2.0, 4.0)


def scene(sigma: float) -> Iterator[NDArray[np.uint8]]:
    """The still scene, frame by frame."""
    random = np.random.default_rng(1)
    texture = cv2.GaussianBlur(random.integers(0, 256, (*SIZE[::-1], 3), np.uint8), (0, 0), 9)
    texture = cv2.normalize(texture, np.empty_like(texture), 20, 230, cv2.NORM_MINMAX)
    noise = [random.normal(0, sigma, (*SIZE[::-1], 1)) for _ in range(FPS)]
    for index in range(FRAMES):
        shifted = np.roll(noise[index % FPS], index * 37 % SIZE[0], 1)
        yield np.clip(np.rint(texture + shifted), 0, 255).astype(np.uint8)


def longest_run(path: Path, bitrate: int, key_seconds: int, sigma: float) -> float:
    """The longest time in seconds for which the image stays the same."""
    writer = cv2.VideoWriter(
        "appsrc ! videoconvert ! video/x-raw, format=I420 ! x264enc tune=zerolatency speed-preset=veryfast "
        f"bitrate={bitrate} key-int-max={key_seconds * FPS} ! h264parse ! matroskamux ! filesink location={path}",
        cv2.CAP_GSTREAMER, 0, FPS, SIZE,
    )  # fmt: skip
    if not writer.isOpened():
        sys.exit("this OpenCV cannot encode H.264 through GStreamer: use Debian's python3-opencv")
    for image in scene(sigma):
        writer.write(image)
    writer.release()
    video, prints = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        prints.append(fingerprint(np.asarray(read[1], np.uint8)))
    return max(len(list(same)) for _, same in itertools.groupby(prints)) / FPS


def main() -> None:
    """Print the longest run for each encoding and each noise."""
    with tempfile.TemporaryDirectory() as folder:
        for (bitrate, key_seconds), sigma in itertools.product(ENCODINGS, SIGMAS):
            seconds = longest_run(Path(folder) / "still.mkv", bitrate, key_seconds, sigma)
            print(f"{bitrate} kbit/s, a key frame every {key_seconds} s, sigma {sigma:g}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
