from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import motion_map
from edge.detector import Detections, normalise
from edge.events import Event
from edge.motion_map import MotionSettings
from edge.pipeline import StepResult, TileMotion
from edge.sources import Frame
from edge.tubes import TubeBox
from edge.video import motion_inset
from edge.video.annotated_frame import (
    TRAIL_FRAMES,
    Overlay,
    OverlayStyle,
    annotate,
    canvas_size,
    colour_of,
    drawn_size,
    update,
)
from edge.video.motion_inset import INSET_POSITIONS, InsetPosition
from tests.support.some_event import some_event
from tests.support.spot_model import MANIFEST, spot

NOTHING = Detections(
    np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), np.empty((0, 2), np.float32)
)
BOX = (96.0, 96.0, 224.0, 192.0)  # in a frame of 640x360
EMPTY = Overlay()
STYLE = OverlayStyle()
CLEAN = OverlayStyle(inset="none")
HEIGHT, WIDTH = 360, 640  # of the frame's picture on its canvas


def frame(index: int = 0, image: NDArray[np.uint8] | None = None) -> Frame:
    image = np.full((360, 640, 3), 60, np.uint8) if image is None else image
    return Frame("door", index, index / 25, index / 25, image)


def person(tube: int = 1, box: tuple[float, ...] = BOX, scores: tuple[float, float] = (0.9, 0.1)) -> TubeBox:
    best = int(np.argmax(scores))
    return TubeBox(tube, best, np.array(box, np.float32), scores[best], np.array(scores, np.float32), True)


def event(kind: str, tube: int = 1, action: str = "Basketball") -> Event:
    named = {"type": kind, "event_id": f"{action} of {tube}", "tube": tube, "action": action}
    return some_event(BOX, score=0.2, top_score=0.9, frame_size=(640, 360), **named)


def step(*people: TubeBox, events: tuple[Event, ...] = (), map_: NDArray[np.float32] | None = None) -> StepResult:
    running = frozenset(event.event_id for event in events if event.type != "end")
    maps = () if map_ is None else (TileMotion((0, 0, 640, 360), map_),)
    return StepResult(lambda: maps, NOTHING, people, events, running)


def draw(
    taken: Frame, happened: StepResult, overlay: Overlay = EMPTY, style: OverlayStyle = CLEAN
) -> NDArray[np.uint8]:
    overlay = update(overlay, taken, happened)
    size = drawn_size((taken.image.shape[1], taken.image.shape[0]))
    return annotate(taken, happened, overlay, MANIFEST, size, style)


@pytest.mark.parametrize(
    ("frame_size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((320, 240), (320, 240)),
        ((161, 97), (398, 240)),  # 240 / 97 = 2.474; 161 * 2.474 = 398.4
        ((3840, 2160), (1280, 720)),
        ((2160, 3840), (720, 1280)),
        ((1, 1), (240, 240)),
        ((10_000, 1), (1280, 2)),
        ((1280, 2), (1280, 2)),
    ],
)
def test_drawn_size(frame_size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert drawn_size(frame_size) == expected


def test_the_frame_itself_is_not_drawn_upon() -> None:
    taken = frame()
    before = taken.image.copy()
    draw(taken, step(person()))
    assert (taken.image == before).all()


def test_without_people_the_frame_is_unchanged() -> None:
    assert (draw(frame(), step())[:HEIGHT] == 60).all()


def test_a_person_is_boxed_in_their_colour() -> None:
    picture = draw(frame(), step(person(3)))
    for x, y in ((96, 150), (224, 150), (160, 192)):  # both sides and the lower edge
        assert tuple(picture[y, x]) == colour_of(3)
    assert tuple(picture[150, 160]) == (60, 60, 60)


def test_a_running_event_makes_the_box_thick_and_its_end_thin() -> None:
    thin = draw(frame(), step(person()))
    thick = draw(frame(), step(person(), events=(event("new"),)))
    assert tuple(thin[150, 98]) != colour_of(1)
    assert tuple(thick[150, 97]) == colour_of(1)
    begun = update(Overlay(), frame(), step(person(), events=(event("new"),)))
    assert list(begun.open_events) == ["Basketball of 1"]
    assert not update(begun, frame(1), step(person(), events=(event("end"),))).open_events


def test_an_event_that_ended_while_no_frames_came_is_not_drawn() -> None:
    """A camera was away, which ends its events between two frames; the next person may get the same number."""
    before = update(Overlay(), frame(), step(person(), events=(event("new"),)))
    after = update(before, frame(1), step(person()))
    assert after.open_events == {}


def test_boxes_are_scaled_with_the_frame() -> None:
    picture = draw(frame(image=np.full((1440, 2560, 3), 60, np.uint8)), step(person(3, (400, 400, 800, 900))))
    assert tuple(picture[300, 200]) == colour_of(3)  # 2560 pixels become 1280


def test_a_trail_follows_the_foot_and_goes_with_the_person() -> None:
    overlay = Overlay()
    for index in range(TRAIL_FRAMES + 10):
        overlay = update(overlay, frame(index), step(person(1, (index, 0, index + 64.0, 180))))
    assert len(overlay.trails[1]) == TRAIL_FRAMES
    assert overlay.trails[1][-1] == pytest.approx(((TRAIL_FRAMES + 9 + 32) / 640, 0.5))
    assert update(overlay, frame(99), step()).trails == {}


def test_a_trail_is_drawn() -> None:
    overlay = update(Overlay(), frame(), step(person(2, (0, 200, 64, 300))))
    picture = draw(frame(1), step(person(2, (300, 200, 364, 300))), overlay)
    assert np.allclose(picture[300, 180], colour_of(2), atol=30)  # between the feet at x = 32 and 332


@pytest.mark.parametrize("kind", ["ssim", "dsim", "flow", "previous"])
def test_what_moves_is_bright(kind: str) -> None:
    """A block that was not there before, against a still background."""
    manifest = replace(MANIFEST, motion=MotionSettings(kind=kind, shifts=False))  # type: ignore[arg-type]
    before, now = spot(None), spot(60)
    found, _ = motion_map.motion_map(normalise(before, manifest), normalise(now, manifest), manifest.motion)
    moved = motion_inset.motion_brightness(found, now, manifest)
    assert moved.shape == (64, 64)
    assert (moved.min(), moved.max()) >= (0, 0)
    assert moved.max() <= 1
    assert moved[20:32, 26:30].mean() > 0.7  # the block: rows 30 to 70 of 120, columns 60 to 86 of 160, times 0.4
    assert moved[50:, :].mean() < 0.05


@pytest.mark.parametrize("where", INSET_POSITIONS)
def test_the_inset_is_the_map_without_the_bars_of_the_input(where: InsetPosition) -> None:
    """A map that moves all over: the whole inset is bright, though a third of the network's input is bars."""
    style = OverlayStyle(inset=where)
    still = draw(frame(), step(map_=np.ones((64, 64, 3), np.float32)), style=style)
    moving = draw(frame(), step(map_=np.zeros((64, 64, 3), np.float32)), style=style)
    assert still.shape == moving.shape == (*canvas_size((WIDTH, HEIGHT), style)[::-1], 3)
    changed = np.argwhere((still != moving).any(axis=2))
    expected = {  # first and last row and column, within the white frame: a quarter of 640x360
        "beside": (1, 88, 641, 798),
        "upper-left": (1, 88, 1, 158),
        "upper-right": (1, 88, 481, 638),
        "lower-left": (271, 358, 1, 158),
        "lower-right": (271, 358, 481, 638),
    }
    if where == "none":
        assert len(changed) == 0
        return
    top, bottom, left, right = expected[where]
    assert (changed.min(axis=0).tolist(), changed.max(axis=0).tolist()) == ([top, left], [bottom, right])
    inside = slice(top + 20, bottom - 2), slice(left + 2, right - 2)
    assert (moving[inside].mean(axis=2) > 150).all()
    assert (still[inside].mean(axis=2) < 20).all()


def test_by_default_nothing_covers_the_frame() -> None:
    picture = draw(frame(), step(map_=np.zeros((64, 64, 3), np.float32)), style=STYLE)
    assert (picture[:HEIGHT, :WIDTH] == 60).all()
    assert picture.shape == (382, 800, 3)  # 22 lines for the caption, a quarter of the width for the map


def test_the_caption_names_the_running_events() -> None:
    quiet = draw(frame(), step())
    busy = draw(frame(), step(events=(event("new"),)))
    assert (busy[:HEIGHT] == quiet[:HEIGHT]).all()
    assert busy[HEIGHT:].max() > 240
    assert 100 < quiet[HEIGHT:].max() < 200


def words(*people: TubeBox, events: tuple[Event, ...] = ()) -> NDArray[np.bool_]:
    """Where the picture above the box differs from the frame: that is where words stand. (rows, columns)"""
    return (draw(frame(), step(*people, events=events))[60:94, :400] != 60).any(axis=2)


def test_a_person_without_an_event_has_a_thin_box_and_no_caption() -> None:
    assert not words(person()).any()
    picture = draw(frame(), step(person()))
    assert tuple(picture[150, 96]) == colour_of(1)
    assert tuple(picture[150, 97]) == (60, 60, 60)


@pytest.mark.parametrize(("score", "drawn"), [(0.0, False), (0.14, False), (0.16, True)])
def test_a_person_with_a_low_score_is_not_drawn(score: float, drawn: bool) -> None:
    overlay = update(EMPTY, frame(), step(person(1, (0, 200, 64, 300), (score, 0))))
    picture = draw(frame(1), step(person(1, scores=(score, 0))), overlay)
    assert bool((picture[:HEIGHT] != 60).any()) == drawn  # nor is his trail


def test_the_least_score_can_be_chosen() -> None:
    weak = step(person(scores=(0.05, 0)))
    assert (draw(frame(), weak, style=OverlayStyle(min_score=0.05, inset="none"))[:HEIGHT] != 60).any()
    assert (draw(frame(), weak, style=OverlayStyle(min_score=0.06, inset="none"))[:HEIGHT] == 60).all()


def test_words_are_of_the_event_and_not_of_the_action_that_scores_highest() -> None:
    """The open event is at 0.2, while another action, without an event, scores 0.24."""
    drawn = words(person(scores=(0.2, 0.24)), events=(event("new"),))
    assert drawn.any()
    assert (drawn == words(person(scores=(0.2, 0.05)), events=(event("new"),))).all()
    assert (drawn != words(person(scores=(0.2, 0.24)), events=(event("new", action="Surfing"),))).any()


def test_an_event_of_a_person_who_scores_little_is_drawn_all_the_same() -> None:
    assert words(person(scores=(0.01, 0)), events=(event("new"),)).any()


def test_two_events_of_a_person_are_both_named() -> None:
    one = words(person(), events=(event("new"),))
    both = words(person(), events=(event("new"), event("new", action="Surfing")))
    assert np.flatnonzero(both.any(axis=0)).max() > np.flatnonzero(one.any(axis=0)).max() + 60


def test_zones_and_masks_are_outlined_lightly() -> None:
    square = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    empty = draw(frame(), step())
    zone = draw(frame(), step(), style=OverlayStyle(zones={"gate": square}, inset="none"))
    mask = draw(frame(), step(), style=OverlayStyle(masks=(square,), inset="none"))
    for picture, ink in (zone, 255), (mask, 150):
        assert abs(int(picture[90, 300, 0]) - (60 + ink) // 2) < 15  # the upper edge: 0.25 * 360, half transparent
        assert (picture[95:150] == empty[95:150]).mean() > 0.99  # nothing is filled
    assert (zone[160:190, 290:350] != empty[160:190, 290:350]).any()  # its name
    assert (mask[160:190, 290:350] == empty[160:190, 290:350]).all()


@pytest.mark.parametrize("where", ["beside", "lower-right"])
@pytest.mark.parametrize("size", [(1, 1), (640, 2), (2, 640), (3, 5), (3840, 2160)])
def test_every_frame_size_can_be_drawn(size: tuple[int, int], where: InsetPosition) -> None:
    width, height = size
    style = OverlayStyle(zones={"z": ((0, 0), (1, 0), (1, 1))}, inset=where)
    happened = step(
        person(1, (-5, -5, 2 * width, 2 * height)), events=(event("new"),), map_=np.zeros((64, 64, 3), np.float32)
    )
    picture = draw(frame(image=np.zeros((height, width, 3), np.uint8)), happened, style=style)
    assert (picture.shape[1], picture.shape[0]) == canvas_size(drawn_size(size), style)


def test_a_box_far_outside_is_drawn_at_the_edge() -> None:
    draw(frame(), step(person(1, (-1e30, -1e30, 1e30, 1e30)), person(2, (np.nan,) * 4)))
