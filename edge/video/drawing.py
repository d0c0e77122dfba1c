"""Annotated frames: people, their actions and trails, the motion map in a corner, running events below. Pure.

A thick box has a running event, a thin one has none yet; a person keeps his colour. Bright in the inset is what moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes, detector
from edge.events import Event
from edge.manifest import Manifest
from edge.pipeline import Step
from edge.sources import Frame
from edge.tubes import TubeBox

Picture = NDArray[np.uint8]  # (H, W, 3), BGR
Colour = tuple[int, int, int]  # B, G, R
Points = tuple[tuple[float, float], ...]  # x, y; shares of the frame's width and height, the oldest first

SHORTEST, LONGEST = 240, 1280  # pixels; sides of the annotated picture where its shape allows
TRAIL = 45  # frames
INSET = 0.25  # of the picture's width and height
STEP = 1.0  # standard deviations between two frames that show as full brightness, kind `previous`
FAR = 4.0  # pixels of the network's input that do, kind `flow`
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE: Colour = (255, 255, 255)
DARK: Colour = (24, 24, 24)
PALETTE: tuple[Colour, ...] = (  # of people; far from each other and from skin, wood and grass
    *((75, 25, 230), (255, 225, 0), (25, 225, 255), (240, 50, 240), (255, 130, 0)),
    *((60, 245, 210), (180, 30, 145), (0, 128, 255), (200, 190, 250), (128, 128, 0)),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """What a picture shows of the frames before it: trails of the live tubes, events that have not ended."""

    trails: Mapping[int, Points] = field(default_factory=dict)
    running: Mapping[str, Event] = field(default_factory=dict)  # by event_id


def picture_size(frame_size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture for frames of that size: even, small ones enlarged, large ones reduced."""
    short, long = sorted(frame_size)
    scale = min(LONGEST / long, max(1.0, SHORTEST / short))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in frame_size)
    return width, height


def follow(scene: Scene, frame: Frame, step: Step) -> Scene:
    """The scene after one more frame."""
    size = detector.frame_size(frame.image)
    trails = {seen.tube: (*scene.trails.get(seen.tube, ()), _foot(seen, size))[-TRAIL:] for seen in step.tube_boxes}
    running = {**scene.running, **{event.event_id: event for event in step.events}}
    return Scene(trails, {number: event for number, event in running.items() if event.type != "end"})


def annotated(frame: Frame, step: Step, scene: Scene, manifest: Manifest, size: tuple[int, int]) -> Picture:
    """The frame as a picture of `size` (width, height) with all that is known; `scene` includes this frame."""
    method = cv2.INTER_AREA if frame.image.shape[1] > size[0] else cv2.INTER_LINEAR
    picture = cv2.resize(frame.image, size, interpolation=method).astype(np.uint8)
    motion_map = step.motion()
    if motion_map is not None:
        _draw_inset(picture, motion_picture(motion_map, frame.image, manifest))
    told = {event.tube for event in scene.running.values()}
    for tube, trail in scene.trails.items():
        _draw_trail(picture, trail, colour_of(tube), 3 if tube in told else 1.5)
    people = sorted(step.tube_boxes, key=lambda seen: seen.tube in told)  # those with an event on top
    for seen in people:
        _draw_person(picture, seen, detector.frame_size(frame.image), manifest.labels, seen.tube in told)
    _draw_caption(picture, [_caption(event, frame) for event in scene.running.values()])
    return picture


def colour_of(tube: int) -> Colour:
    """A person's colour."""
    return PALETTE[tube % len(PALETTE)]


def motion_picture(motion: NDArray[np.float32], image: Picture, manifest: Manifest) -> NDArray[np.float32]:
    """How much moves where, (h, w) of the network's input, 0..1, of its motion map (h, w, 3)."""
    if manifest.motion.kind == "previous":
        moved = np.abs(detector.normalise(image, manifest) - motion) / STEP
    elif manifest.motion.kind == "dsim":
        moved = 2 * motion
    elif manifest.motion.kind == "flow":
        moved = np.linalg.norm(motion[..., :2], axis=2, keepdims=True) / FAR + np.abs(motion[..., 2:])
    else:
        moved = 1 - motion
    brightness: NDArray[np.float32] = np.clip(moved.mean(axis=2), 0, 1).astype(np.float32)
    return brightness


def _foot(seen: TubeBox, size: tuple[int, int]) -> tuple[float, float]:
    """The middle of a box's lower edge, as shares of the frame."""
    x1, _, x2, y2 = (float(side) for side in seen.box)
    return (x1 + x2) / 2 / size[0], y2 / size[1]


def _unit(picture: Picture) -> float:
    """A length that grows with the picture: 1 at 360 lines."""
    return float(np.clip(min(picture.shape[:2]) / 360, 0.7, 3))


def _pixels(picture: Picture, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """(n, 2) shares → whole pixels, kept near the picture as OpenCV counts in 16 bits."""
    scaled = points * detector.frame_size(picture)
    pixels: NDArray[np.int32] = np.clip(np.nan_to_num(scaled), -8000, 8000).round().astype(np.int32)
    return pixels


def _draw_trail(picture: Picture, trail: Points, colour: Colour, widest: float) -> None:
    """Thin where it is old, `widest` at 360 lines where it is new."""
    pixels = _pixels(picture, np.array(trail, np.float64).reshape(-1, 2))
    for i, (start, end) in enumerate(pairwise(pixels)):
        thickness = max(1, round(widest * _unit(picture) * (i + 1) / len(pixels)))
        cv2.line(picture, start.tolist(), end.tolist(), colour, thickness, cv2.LINE_AA)


def _draw_person(picture: Picture, seen: TubeBox, size: tuple[int, int], labels: tuple[str, ...], told: bool) -> None:
    corners = boxes.clip(seen.box[None], *size).reshape(2, 2) / size
    (left, top), (right, bottom) = _pixels(picture, corners).tolist()
    colour = colour_of(seen.tube)
    thickness = max(2, round(3 * _unit(picture))) if told else 1
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    text = f"{labels[seen.label]} {seen.score:.2f} #{seen.tube}"
    _draw_text(picture, text, (left, top), colour, 0.5 if told else 0.4)


def _draw_text(picture: Picture, text: str, place: tuple[int, int], ground: Colour, size: float) -> None:
    """A line of text on its own ground, standing on `place` (x, y), moved so that it can be read."""
    scale = size * _unit(picture)
    (width, height), below = cv2.getTextSize(text, FONT, scale, 1)
    x = int(np.clip(place[0], 0, max(0, picture.shape[1] - width - 4)))
    y = int(np.clip(place[1], height + below + 2, picture.shape[0]))
    cv2.rectangle(picture, (x, y - height - below - 2), (x + width + 4, y), ground, cv2.FILLED)
    ink = DARK if np.dot(ground, (0.114, 0.587, 0.299)) > 128 else WHITE
    cv2.putText(picture, text, (x + 2, y - below), FONT, scale, ink, 1, cv2.LINE_AA)


def _draw_inset(picture: Picture, moved: NDArray[np.float32]) -> None:
    """The motion in the upper right corner, cut to the frame: without the bars of the network's input."""
    height, width = (max(1, round(side * INSET)) for side in picture.shape[:2])
    matrix = boxes.letterbox((width, height), (moved.shape[1], moved.shape[0]))
    cut = cv2.warpAffine(moved, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    heat = cv2.applyColorMap((255 * cut).astype(np.uint8), cv2.COLORMAP_INFERNO)
    picture[:height, -width:] = heat
    cv2.rectangle(picture, (picture.shape[1] - width, 0), (picture.shape[1] - 1, height - 1), WHITE, 1)
    _draw_text(picture, "motion", (picture.shape[1] - width + 1, 0), DARK, 0.35)


def _caption(event: Event, frame: Frame) -> str:
    return f"{event.action} #{event.tube}  {frame.monotonic_time - event.started_monotonic:.1f} s"


def _draw_caption(picture: Picture, captions: list[str]) -> None:
    """One dark line at the lower edge."""
    height = min(picture.shape[0], round(22 * _unit(picture)))
    strip = picture[-height:]
    np.copyto(strip, strip // 3)
    text = "   ".join(captions) or "no action"
    ink = WHITE if captions else (150, 150, 150)
    place = (round(6 * _unit(picture)), picture.shape[0] - round(7 * _unit(picture)))
    cv2.putText(picture, text, place, FONT, 0.45 * _unit(picture), ink, 1, cv2.LINE_AA)
