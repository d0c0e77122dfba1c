"""Annotated frames: events and who has them, zones, the motion map, and below it all what goes on.

What is drawn is what is told. A thick box has a running event and names its action with its best score, a thin one is
somebody without an event; a person keeps his colour. Bright in the motion map is what moves.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes, detector
from edge.events import Event, Polygon
from edge.manifest import Manifest
from edge.pipeline import StepResult
from edge.presence import MIN_PERSON_SCORE
from edge.sources import BgrImage, Frame
from edge.tubes import TubeBox
from edge.video import motion_inset, text_rendering
from edge.video.motion_inset import InsetPosition
from edge.video.text_rendering import Colour

Points = tuple[tuple[float, float], ...]  # x, y; shares of the frame's width and height, the oldest first

MIN_SIDE, MAX_SIDE = 240, 1280  # pixels; sides of the frame's picture where its shape allows
TRAIL_FRAMES = 45  # frames
CAPTION = 22  # pixels at 360 lines; height of the line below
WHITE: Colour = (255, 255, 255)
GREY: Colour = (150, 150, 150)
DARK: Colour = (24, 24, 24)
PALETTE: tuple[Colour, ...] = (  # of people; far from each other and from skin, wood and grass
    *((75, 25, 230), (255, 225, 0), (25, 225, 255), (240, 50, 240), (255, 130, 0)),
    *((60, 245, 210), (180, 30, 145), (0, 128, 255), (200, 190, 250), (128, 128, 0)),
)


@dataclass(frozen=True)
class OverlayStyle:
    """What is drawn besides events.

    `min_score`: of a person without one, to be drawn at all; `zones` by name and `masks`, 0..1 of width and height;
    `inset`: where the motion map stands.
    """

    min_score: float = MIN_PERSON_SCORE
    zones: Mapping[str, Polygon] = field(default_factory=dict)
    masks: Sequence[Polygon] = ()
    inset: InsetPosition = "beside"


@dataclass(frozen=True, eq=False)
class Overlay:
    """What a picture shows of the frames before it: trails of the live tubes, events that have not ended."""

    trails: Mapping[int, Points] = field(default_factory=dict)
    running: Mapping[str, Event] = field(default_factory=dict)  # by event_id


def picture_size(frame_size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture for frames of that size: even, small ones enlarged, large ones reduced."""
    short, long = sorted(frame_size)
    scale = min(MAX_SIDE / long, max(1.0, MIN_SIDE / short))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in frame_size)
    return width, height


def update(overlay: Overlay, frame: Frame, step: StepResult) -> Overlay:
    """The scene after one more frame."""
    size = detector.frame_size(frame.image)
    trails = {
        seen.tube: (*overlay.trails.get(seen.tube, ()), _foot(seen, size))[-TRAIL_FRAMES:] for seen in step.tube_boxes
    }
    known = {**overlay.running, **{event.event_id: event for event in step.events}}
    return Overlay(trails, {number: event for number, event in known.items() if number in step.open_event_ids})


def canvas_size(size: tuple[int, int], style: OverlayStyle) -> tuple[int, int]:
    """(width, height) of the whole, for a frame's picture of `size`: with what stands beside and below it."""
    return size[0] + motion_inset.column_width(style.inset, size[0]), size[1] + 2 * max(
        1, round(CAPTION * _unit(size) / 2)
    )


def annotate(
    frame: Frame, step: StepResult, overlay: Overlay, manifest: Manifest, size: tuple[int, int], style: OverlayStyle
) -> BgrImage:
    """The frame as a picture of `size` (width, height) on its canvas, with all that is known.

    `overlay` includes this frame.
    """
    method = cv2.INTER_AREA if frame.image.shape[1] > size[0] else cv2.INTER_LINEAR
    width, height = canvas_size(size, style)
    canvas = np.full((height, width, 3), DARK, np.uint8)
    picture = canvas[: size[1], : size[0]]
    picture[:] = cv2.resize(frame.image, size, interpolation=method)
    _draw_places(picture, style)
    _draw_people(picture, frame, step, overlay, style)
    motion_map = step.motion() if style.inset != "none" else None
    if motion_map is not None:
        _draw_motion(canvas, size, motion_inset.motion_brightness(motion_map, frame.image, manifest), style.inset)
    _draw_caption(canvas[size[1] :], [_caption(event, frame) for event in overlay.running.values()], _unit(size))
    return canvas


def colour_of(tube: int) -> Colour:
    """A person's colour."""
    return PALETTE[tube % len(PALETTE)]


def _foot(seen: TubeBox, size: tuple[int, int]) -> tuple[float, float]:
    """The middle of a box's lower edge, as shares of the frame."""
    x1, _, x2, y2 = (float(side) for side in seen.box)
    return (x1 + x2) / 2 / size[0], y2 / size[1]


def _unit(size: tuple[int, int]) -> float:
    """A length that grows with the picture: 1 at 360 lines."""
    return float(np.clip(min(size) / 360, 0.7, 3))


def _pixels(picture: BgrImage, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """(n, 2) shares → whole pixels, kept near the picture as OpenCV counts in 16 bits."""
    scaled = points * detector.frame_size(picture)
    pixels: NDArray[np.int32] = np.clip(np.nan_to_num(scaled), -8000, 8000).round().astype(np.int32)
    return pixels


def _draw_places(picture: BgrImage, style: OverlayStyle) -> None:
    """Outlines of the zones with their names, and of the masks, half transparent."""
    if not style.zones and not style.masks:
        return
    drawn = picture.copy()
    for polygons, colour in (style.masks, GREY), (style.zones.values(), WHITE):
        corners = [_pixels(picture, np.array(polygon, np.float64)) for polygon in polygons]
        cv2.polylines(drawn, corners, isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA)
    scale = 0.35 * _unit(detector.frame_size(picture))
    for name, polygon in style.zones.items():
        x, y = _pixels(picture, np.array(polygon, np.float64)).mean(axis=0).round().astype(int).tolist()
        text = text_rendering.render(name, scale)
        text_rendering.draw(drawn, text, (x - text.width // 2, y), WHITE)
    cv2.addWeighted(drawn, 0.5, picture, 0.5, 0, dst=picture)


def _draw_people(picture: BgrImage, frame: Frame, step: StepResult, overlay: Overlay, style: OverlayStyle) -> None:
    """Who has an event, on top of who has none and whom a detection shows clearly enough."""
    told: dict[int, list[Event]] = defaultdict(list)
    for event in overlay.running.values():
        told[event.tube].append(event)
    others = [s for s in step.tube_boxes if s.tube not in told and s.observed and s.score >= style.min_score]
    people = [*others, *(seen for seen in step.tube_boxes if seen.tube in told)]
    for seen in people:
        _draw_trail(picture, overlay.trails.get(seen.tube, ()), colour_of(seen.tube), 3 if seen.tube in told else 1.5)
    for seen in people:
        _draw_person(picture, seen, detector.frame_size(frame.image), told.get(seen.tube, ()))


def _draw_trail(picture: BgrImage, trail: Points, colour: Colour, widest: float) -> None:
    """Thin where it is old, `widest` at 360 lines where it is new."""
    pixels = _pixels(picture, np.array(trail, np.float64).reshape(-1, 2))
    widest *= _unit(detector.frame_size(picture))
    for i, (start, end) in enumerate(pairwise(pixels)):
        thickness = max(1, round(widest * (i + 1) / len(pixels)))
        cv2.line(picture, start.tolist(), end.tolist(), colour, thickness, cv2.LINE_AA)


def _draw_person(picture: BgrImage, seen: TubeBox, size: tuple[int, int], told: Sequence[Event]) -> None:
    """A box; with the events that are `told` of him it is thick and has words."""
    corners = boxes.clip(seen.box[None], *size).reshape(2, 2) / size
    (left, top), (right, bottom) = _pixels(picture, corners).tolist()
    colour = colour_of(seen.tube)
    thickness = max(2, round(3 * _unit(detector.frame_size(picture)))) if told else 1
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    if told:
        names = ", ".join(f"{event.action} {event.top_score:.2f}" for event in told)
        _draw_text(picture, f"{names} #{seen.tube}", (left, top), colour, 0.5)


def _draw_text(picture: BgrImage, text: str, place: tuple[int, int], ground: Colour, size: float) -> None:
    """A line of text on its own ground, standing on `place` (x, y), moved so that it can be read."""
    line = text_rendering.render(text, size * _unit(detector.frame_size(picture)))
    x = int(np.clip(place[0], 0, max(0, picture.shape[1] - line.width - 4)))
    y = int(np.clip(place[1], line.above + line.below + 2, max(picture.shape[0], line.above + line.below + 2)))
    cv2.rectangle(picture, (x, y - line.above - line.below - 2), (x + line.width + 4, y), ground, cv2.FILLED)
    ink = DARK if np.dot(ground, (0.114, 0.587, 0.299)) > 128 else WHITE
    text_rendering.draw(picture, line, (x + 2, y - line.below), ink)


def _draw_motion(canvas: BgrImage, size: tuple[int, int], moved: NDArray[np.float32], where: InsetPosition) -> None:
    """The motion map with a frame around it and its name in it."""
    rows, columns = motion_inset.region(where, size)
    part = canvas[rows, columns]
    part[:] = motion_inset.heat_map(moved, detector.frame_size(part))
    cv2.rectangle(part, (0, 0), (part.shape[1] - 1, part.shape[0] - 1), WHITE, 1)
    text = text_rendering.render("motion", 0.35 * _unit(size))
    text_rendering.draw(part, text, (3, text.above + 3), WHITE)


def _caption(event: Event, frame: Frame) -> str:
    return f"{event.action} #{event.tube}  {frame.monotonic_time - event.started_monotonic:.1f} s"


def _draw_caption(strip: BgrImage, captions: list[str], unit: float) -> None:
    """What goes on, on the line below the frame."""
    text = text_rendering.render("   ".join(captions) or "no action", 0.45 * unit)
    place = (round(6 * unit), strip.shape[0] - round(7 * unit))
    text_rendering.draw(strip, text, place, WHITE if captions else GREY)
