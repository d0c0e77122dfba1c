"""Draws a frame with people, their events, zones, masks, the motion map and a caption of open events.

A thick box is a person with an open event, named with its best score; a thin box is a person without one. A person
keeps their colour. What moves is bright in the motion map.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes, detector, tiles
from edge.events import Event
from edge.manifest import Manifest
from edge.people_count import MIN_PERSON_SCORE
from edge.pipeline import StepResult, TileMotion
from edge.sources import BgrImage, Frame, Polygon
from edge.tiles import Tiling
from edge.tubes import TubeBox
from edge.video import motion_inset, text_rendering
from edge.video.motion_inset import InsetPosition
from edge.video.text_rendering import Colour

Points = tuple[tuple[float, float], ...]  # x, y; 0..1 of the frame's width and height, the oldest first

MIN_SIDE, MAX_SIDE = 240, 1280  # pixels; sides of the drawn frame where its aspect ratio allows
TRAIL_FRAMES = 45
CAPTION_HEIGHT = 22  # pixels for a frame of 360 lines
WHITE: Colour = (255, 255, 255)
GREY: Colour = (150, 150, 150)
DARK: Colour = (24, 24, 24)
PALETTE: tuple[Colour, ...] = (  # of people; distinct from each other and from skin, wood and grass
    *((75, 25, 230), (255, 225, 0), (25, 225, 255), (240, 50, 240), (255, 130, 0)),
    *((60, 245, 210), (180, 30, 145), (0, 128, 255), (200, 190, 250), (128, 128, 0)),
)


@dataclass(frozen=True)
class OverlayStyle:
    """What is drawn besides events.

    `min_score`: below it, a person without an event is not drawn; `zones` by name and `masks`, 0..1 of width and
    height; `inset`: where the motion map is; `tiling`: where the network looks.
    """

    min_score: float = MIN_PERSON_SCORE
    zones: Mapping[str, Polygon] = field(default_factory=dict)
    masks: Sequence[Polygon] = ()
    inset: InsetPosition = "beside"
    tiling: Tiling = Tiling()


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is drawn of earlier frames: trails of the live tubes, and open events."""

    trails: Mapping[int, Points] = field(default_factory=dict)  # by tube
    open_events: Mapping[str, Event] = field(default_factory=dict)  # by event_id


def drawn_size(frame_size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) at which frames of that size are drawn: even, small ones enlarged, large ones reduced."""
    short, long = sorted(frame_size)
    scale = min(MAX_SIDE / long, max(1.0, MIN_SIDE / short))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in frame_size)
    return width, height


def update(overlay: Overlay, frame: Frame, step: StepResult) -> Overlay:
    """The overlay after one more frame."""
    size = detector.frame_size(frame.image)
    trails = {
        person.tube: (*overlay.trails.get(person.tube, ()), _foot(person, size))[-TRAIL_FRAMES:]
        for person in step.tube_boxes
    }
    known = {**overlay.open_events, **{event.event_id: event for event in step.events}}
    return Overlay(trails, {event_id: event for event_id, event in known.items() if event_id in step.open_event_ids})


def canvas_size(size: tuple[int, int], style: OverlayStyle) -> tuple[int, int]:
    """(width, height) of the whole image for a frame drawn at `size`, with the inset beside and the caption below."""
    caption = 2 * max(1, round(CAPTION_HEIGHT * _unit(size) / 2))
    return size[0] + motion_inset.column_width(style.inset, size[0]), size[1] + caption


def annotate(
    frame: Frame, step: StepResult, overlay: Overlay, manifest: Manifest, size: tuple[int, int], style: OverlayStyle
) -> BgrImage:
    """The frame drawn at `size` (width, height) on its canvas, with everything that is known about it.

    `overlay` already includes this frame.
    """
    method = cv2.INTER_AREA if frame.image.shape[1] > size[0] else cv2.INTER_LINEAR
    width, height = canvas_size(size, style)
    canvas = np.full((height, width, 3), DARK, np.uint8)
    image = canvas[: size[1], : size[0]]
    image[:] = cv2.resize(frame.image, size, interpolation=method)
    _draw_tiles(image, style.tiling)
    _draw_polygons(image, style)
    _draw_people(image, frame, step, overlay, style)
    maps = step.motion() if style.inset != "none" else ()
    if maps:
        rows, columns = motion_inset.region(style.inset, size)
        _draw_motion(canvas[rows, columns], maps, frame.image, manifest, _unit(size))
    _draw_caption(canvas[size[1] :], [_caption(event, frame) for event in overlay.open_events.values()], _unit(size))
    return canvas


def colour_of(tube: int) -> Colour:
    """A person's colour."""
    return PALETTE[tube % len(PALETTE)]


def _foot(seen: TubeBox, size: tuple[int, int]) -> tuple[float, float]:
    """The middle of a box's lower edge, 0..1 of the frame."""
    x1, _, x2, y2 = (float(side) for side in seen.box)
    return (x1 + x2) / 2 / size[0], y2 / size[1]


def _unit(size: tuple[int, int]) -> float:
    """The scale of lines and text: 1 at 360 lines."""
    return float(np.clip(min(size) / 360, 0.7, 3))


def _pixels(image: BgrImage, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """(n, 2) of 0..1 → whole pixels, clipped near the image because OpenCV draws with 16-bit coordinates."""
    scaled = points * detector.frame_size(image)
    pixels: NDArray[np.int32] = np.clip(np.nan_to_num(scaled), -8000, 8000).round().astype(np.int32)
    return pixels


def _draw_tiles(image: BgrImage, tiling: Tiling) -> None:
    """Darken what the network does not see, and outline its tiles where there are several."""
    if tiling.is_whole:
        return
    view = tiles.cut(detector.frame_size(image), tiling)
    seen = tiles.crop(image, tiles.bounds(view)).copy()
    image //= 2
    tiles.crop(image, tiles.bounds(view))[:] = seen
    for left, top, right, bottom in view if tiling.count > 1 else ():
        cv2.rectangle(image, (left, top), (right - 1, bottom - 1), GREY, 1)


def _draw_polygons(image: BgrImage, style: OverlayStyle) -> None:
    """Outline zones, with their names, and masks, half transparent."""
    if not style.zones and not style.masks:
        return
    drawn = image.copy()
    for polygons, colour in (style.masks, GREY), (style.zones.values(), WHITE):
        corners = [_pixels(image, np.array(polygon, np.float64)) for polygon in polygons]
        cv2.polylines(drawn, corners, isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA)
    scale = 0.35 * _unit(detector.frame_size(image))
    for name, polygon in style.zones.items():
        x, y = _pixels(image, np.array(polygon, np.float64)).mean(axis=0).round().astype(int).tolist()
        text = text_rendering.render(name, scale)
        text_rendering.draw(drawn, text, (x - text.width // 2, y), WHITE)
    cv2.addWeighted(drawn, 0.5, image, 0.5, 0, dst=image)


def _draw_people(image: BgrImage, frame: Frame, step: StepResult, overlay: Overlay, style: OverlayStyle) -> None:
    """Draw people with open events on top of observed people without one who score at least `min_score`."""
    by_tube: dict[int, list[Event]] = defaultdict(list)
    for event in overlay.open_events.values():
        by_tube[event.tube].append(event)
    others = [p for p in step.tube_boxes if p.tube not in by_tube and p.observed and p.score >= style.min_score]
    people = [*others, *(person for person in step.tube_boxes if person.tube in by_tube)]
    for person in people:
        width = 3 if person.tube in by_tube else 1.5
        _draw_trail(image, overlay.trails.get(person.tube, ()), colour_of(person.tube), width)
    for person in people:
        _draw_person(image, person, detector.frame_size(frame.image), by_tube.get(person.tube, ()))


def _draw_trail(image: BgrImage, trail: Points, colour: Colour, widest: float) -> None:
    """Draw a trail that grows from thin at its oldest point to `widest` at the newest, for 360 lines."""
    pixels = _pixels(image, np.array(trail, np.float64).reshape(-1, 2))
    widest *= _unit(detector.frame_size(image))
    for i, (start, end) in enumerate(pairwise(pixels)):
        thickness = max(1, round(widest * (i + 1) / len(pixels)))
        cv2.line(image, start.tolist(), end.tolist(), colour, thickness, cv2.LINE_AA)


def _draw_person(image: BgrImage, person: TubeBox, size: tuple[int, int], events: Sequence[Event]) -> None:
    """Draw a person's box, thick and labelled where there are `events`."""
    corners = boxes.clip(person.box[None], *size).reshape(2, 2) / size
    (left, top), (right, bottom) = _pixels(image, corners).tolist()
    colour = colour_of(person.tube)
    thickness = max(2, round(3 * _unit(detector.frame_size(image)))) if events else 1
    cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
    if events:
        names = ", ".join(f"{event.action} {event.top_score:.2f}" for event in events)
        _draw_text(image, f"{names} #{person.tube}", (left, top), colour, 0.5)


def _draw_text(image: BgrImage, text: str, place: tuple[int, int], background: Colour, size: float) -> None:
    """Draw text on a filled background. Its lower left corner is at `place` (x, y), moved so that it is visible."""
    line = text_rendering.render(text, size * _unit(detector.frame_size(image)))
    x = int(np.clip(place[0], 0, max(0, image.shape[1] - line.width - 4)))
    y = int(np.clip(place[1], line.above + line.below + 2, max(image.shape[0], line.above + line.below + 2)))
    cv2.rectangle(image, (x, y - line.above - line.below - 2), (x + line.width + 4, y), background, cv2.FILLED)
    ink = DARK if np.dot(background, (0.114, 0.587, 0.299)) > 128 else WHITE
    text_rendering.draw(image, line, (x + 2, y - line.below), ink)


def _draw_motion(part: BgrImage, maps: Sequence[TileMotion], image: BgrImage, manifest: Manifest, unit: float) -> None:
    """Draw the motion maps of the frame's tiles, each in its place, with a border and a title."""
    part[:] = 0
    for one in maps:
        brightness = motion_inset.motion_brightness(one.motion_map, tiles.crop(image, one.tile), manifest)
        patch = tiles.crop(part, tiles.scaled(one.tile, detector.frame_size(image), detector.frame_size(part)))
        patch[:] = motion_inset.heat_map(brightness, detector.frame_size(patch))
    cv2.rectangle(part, (0, 0), (part.shape[1] - 1, part.shape[0] - 1), WHITE, 1)
    text = text_rendering.render("motion", 0.35 * unit)
    text_rendering.draw(part, text, (3, text.above + 3), WHITE)


def _caption(event: Event, frame: Frame) -> str:
    return f"{event.action} #{event.tube}  {frame.monotonic_time - event.started_monotonic:.1f} s"


def _draw_caption(strip: BgrImage, captions: list[str], unit: float) -> None:
    """List the open events below the frame."""
    text = text_rendering.render("   ".join(captions) or "no action", 0.45 * unit)
    place = (round(6 * unit), strip.shape[0] - round(7 * unit))
    text_rendering.draw(strip, text, place, WHITE if captions else GREY)
