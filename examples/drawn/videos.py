"""Draws the example's videos and writes what CVAT would export of them.

    python -m examples.drawn.videos FOLDER

Five places with two videos each, and two in which nobody does anything of note. The same call gives the same pictures.
It needs the command ffmpeg with libx264.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import files
from examples.drawn.figures import Activity, Figure, draw
from train.datasets.cvat_writer import Track, VideoFacts, as_xml
from train.datasets.project_data import PERSON

SIZE, RATE, FRAMES = (320, 240), 25.0, 150  # pixels, frames a second
ACTIONS = ("jump", "wave")
PLACES = ("hall", "yard", "street", "beach", "garage")
TOLERANCE = 0.03  # of a box's shorter side, by which its keyframes may miss it
RAW = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", f"{RATE:g}", "-i", "-")
H264 = ("-c:v", "libx264", "-preset", "veryslow", "-crf", "26", "-pix_fmt", "yuv420p", "-fflags", "+bitexact")


@dataclass(frozen=True)
class Drawn:
    """One video: its name in the project, the number of its place, and the figures in it."""

    name: str
    place: int
    figures: tuple[Figure, ...]


def videos() -> Iterator[Drawn]:
    """All of them."""
    for place, name in enumerate(PLACES):
        for clip in range(2):
            random = np.random.default_rng(10 * place + clip)
            acting: tuple[Activity, Activity] = ("wave", "jump") if clip else ("jump", "wave")
            one = _figure(random, 0.3, ((0.0, "stand"), (0.8, acting[0]), (3.6, "reach"), (4.6, "stand")))
            other = _figure(random, 0.7, ((0.0, "reach"), (1.4, "stand"), (2.6, acting[1]), (5.2, "stand")))
            passer = _figure(random, -0.1, ((0.0, "walk"),))
            yield Drawn(f"{name}/{name}_{clip + 1}", place, (passer, one, other))
    for clip in range(2):
        random = np.random.default_rng(90 + clip)
        walker = _figure(random, 0.1, ((0.0, "walk"), (2.8, "stand"), (4.0, "walk")))
        idle = _figure(random, 0.75, ((0.0, "stand"), (2.0, "reach")))
        yield Drawn(f"quiet/quiet_{clip + 1}", 5 + clip, (walker, idle))


def _figure(random: np.random.Generator, share: float, doings: tuple[tuple[float, Activity], ...]) -> Figure:
    height = float(random.uniform(75, 120))
    feet = (SIZE[0] * (share + float(random.uniform(-0.06, 0.06))), float(random.uniform(185, 228)))
    colours = [tuple(int(value) for value in random.integers(20, 236, 3)) for _ in range(2)]
    (blue, green, red), (b, g, r) = colours
    return Figure(height, feet, (blue, green, red), (b, g, r), doings, phase=float(random.uniform()))


def background(place: int) -> NDArray[np.uint8]:
    """(240, 320, 3) BGR: a wall and a floor with soft patches and some things that stand about."""
    random = np.random.default_rng(1000 + place)
    width, height = SIZE
    image = np.empty((height, width, 3), np.float32)
    horizon = int(random.integers(120, 170))
    image[:horizon], image[horizon:] = random.uniform(70, 220, 3), random.uniform(50, 180, 3)
    patches = cv2.resize(random.normal(0, 18, (12, 16, 3)).astype(np.float32), SIZE, interpolation=cv2.INTER_CUBIC)
    picture: NDArray[np.uint8] = np.clip(image + patches, 0, 255).astype(np.uint8)
    for _ in range(5):
        x, y = int(random.integers(0, width)), int(random.integers(30, horizon))
        w, h = random.integers(15, 60, 2).tolist()
        colour = [int(value) for value in random.integers(30, 230, 3)]
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
    return picture


def pictures(drawn: Drawn) -> Iterator[tuple[NDArray[np.uint8], list[NDArray[np.float32] | None]]]:
    """Frame by frame, with each figure's box."""
    still = background(drawn.place)
    for frame in range(FRAMES):
        image = still.copy()
        yield image, [draw(image, figure, frame / RATE) for figure in drawn.figures]


def write(project: Path, drawn: Drawn) -> Path:
    """The video, as MP4, and its annotation unless nothing happens in it; the path of the video."""
    path = project / "videos" / f"{drawn.name}.mp4"
    images, boxes = zip(*pictures(drawn), strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = b"".join(image.tobytes() for image in images)
    subprocess.run(["ffmpeg", "-v", "error", "-y", *RAW, *H264, str(path)], input=raw, check=True)
    tracks = [_track(figure, [row[n] for row in boxes]) for n, figure in enumerate(drawn.figures)]
    if any(action is not None for track in tracks for action in track.actions):
        annotation = project / "annotations" / f"{drawn.name}.xml"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        facts = VideoFacts(f"{drawn.name}.mp4", FRAMES, SIZE)
        files.write_atomically(annotation, as_xml(facts, tracks, PERSON, TOLERANCE).encode())
    return path


def _track(figure: Figure, boxes: list[NDArray[np.float32] | None]) -> Track:
    """From where it is first seen up to where it is first out of sight."""
    first = next(frame for frame, box in enumerate(boxes) if box is not None)
    seen = [box for box in takewhile(lambda box: box is not None, boxes[first:]) if box is not None]
    doings = [figure.activity(frame / RATE) for frame in range(first, first + len(seen))]
    actions = tuple(activity if activity in ACTIONS else None for activity in doings)
    return Track(first, np.array(seen, np.float32).reshape(-1, 4), actions)


def main() -> None:
    """Write all of them into the folder of a project."""
    for drawn in videos():
        print(write(Path(sys.argv[1]), drawn))


if __name__ == "__main__":
    main()
