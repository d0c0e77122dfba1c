"""One video of all that was found: the actions one after another, each named and timed. Shell."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import CaptureError, read_file
from edge.detector import frame_size
from edge.history import search
from edge.history.clip_writer import ClipWriter, ended_in_video, started_in_video
from edge.history.encoder import encoded_size
from edge.history.search import FoundEvent
from edge.history.tube_points import TubePoint
from edge.sources import Frame
from edge.video import text_rendering

BEFORE, AFTER, MOST = 1.0, 1.0, 12.0  # seconds of each action: before, after and in all
WIDTH, LEAST_WIDTH = 960, 640  # pixels; a caption needs some
LONGEST_NAME = 32  # characters of a file's name in a caption
PAUSE = 0.04  # seconds from the last picture of an action to the first of the next
BRIGHT, DARK = (0, 220, 255), (24, 24, 24)  # B, G, R


@dataclass(frozen=True, eq=False)
class Scene:
    """One action to show: seconds of its video, and where the person is in each frame."""

    event: FoundEvent
    begin: float
    end: float
    points: dict[int, TubePoint]

    def caption(self) -> str:
        """`Fall 0.93  yard.mp4  1:02:03`."""
        seconds = int(started_in_video(self.event))
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        name = self.event.camera
        short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]}...{name[-LONGEST_NAME // 2 :]}"
        return f"{self.event.action} {self.event.score:.2f}  {short}  {clock}"


def write_summary(store: Path, events: Sequence[FoundEvent], notify: Callable[[str], None]) -> bytes | None:
    """The video of the events of videos, in the order of their files and times; None where there is nothing to show.

    `notify` is told of videos that cannot be read any more. Raises EncoderError, StoreError; ValueError where it is too
    large for one file.
    """
    writer: ClipWriter | None = None
    text_rendering.find_fonts([event.action for event in events])
    seconds = 0.0
    try:
        for scene, frame, last in _pictures(scenes(store, events), notify):
            if writer is None:
                writer = ClipWriter(summary_size(frame_size(frame.image)))
            seconds += PAUSE if last is None else frame.monotonic_time - last.monotonic_time
            writer.add(drawn(scene, frame, writer.size), seconds)
        return None if writer is None else writer.content()
    finally:
        if writer is not None:
            writer.__exit__()


def summary_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a summary whose first video has frames of `size`: at least LEAST_WIDTH wide."""
    factor = max(1, -(-LEAST_WIDTH // size[0]))
    return encoded_size((size[0] * factor, size[1] * factor), WIDTH)


def scenes(store: Path, events: Sequence[FoundEvent]) -> list[Scene]:
    """What is shown of each event, by video and time."""
    found = []
    for event in events:
        begin = max(0.0, started_in_video(event) - BEFORE)
        end = min(begin + MOST, ended_in_video(event) + AFTER)
        points = {point.frame_index: point for point in search.tube(store, event)}
        found.append(Scene(event, begin, end, points))
    return sorted(found, key=lambda scene: (str(scene.event.video), scene.begin))


def drawn(scene: Scene, frame: Frame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame at the summary's (width, height), with black bars where it does not fill it, its person and caption."""
    width, height = frame_size(frame.image)
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    image[top : top + inner[1], left : left + inner[0]] = cv2.resize(frame.image, inner, interpolation=cv2.INTER_AREA)
    if point := scene.points.get(frame.index):
        x1, y1, x2, y2 = (
            round(share * length) + offset
            for share, length, offset in zip(point.box, inner * 2, (left, top) * 2, strict=True)
        )
        cv2.rectangle(image, (x1, y1), (x2, y2), DARK, 4)
        cv2.rectangle(image, (x1, y1), (x2, y2), BRIGHT, 2)
    caption = text_rendering.render(scene.caption(), 0.5)
    image[: caption.above + caption.below + 8] = DARK
    text_rendering.draw(image, caption, (6, caption.above + 4), BRIGHT)
    return image


def _pictures(found: Sequence[Scene], notify: Callable[[str], None]) -> Iterator[tuple[Scene, Frame, Frame | None]]:
    """Each scene's frames in turn, each with the one before it in the scene. Each video is read once."""
    for video, of_video in groupby(found, key=lambda scene: scene.event.video):
        try:
            if video is not None:
                yield from _of_video(video, list(of_video))
        except CaptureError as error:
            notify(str(error))


def _of_video(video: Path, found: Sequence[Scene]) -> Iterator[tuple[Scene, Frame, Frame | None]]:
    """Scenes that overlap are shown one after another: their frames are held, made small, until it is their turn."""
    waiting, held = list(found), list[Frame]()
    last: Frame | None = None
    for frame in chain(read_file(video, video.name, lambda text: None), [None]):
        while waiting and (frame is None or frame.monotonic_time > waiting[0].end):
            del waiting[0]
            last = None
            for one in held if waiting else ():
                if waiting[0].begin <= one.monotonic_time <= waiting[0].end:
                    yield waiting[0], one, last
                    last = one
            held = [one for one in held if len(waiting) > 1 and one.monotonic_time >= waiting[1].begin]
        if not waiting or frame is None:
            return
        if frame.monotonic_time >= waiting[0].begin:
            yield waiting[0], frame, last
            last = frame
        if len(waiting) > 1 and frame.monotonic_time >= waiting[1].begin:
            held.append(_small(frame))


def _small(frame: Frame) -> Frame:
    size = encoded_size(frame_size(frame.image), WIDTH)
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    return replace(frame, image=np.asarray(small, np.uint8))
