from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import motion
from edge.detector import Detections, normalise
from edge.events import Event
from edge.motion import MotionSettings
from edge.pipeline import Step
from edge.sources import Frame
from edge.tubes import TubeBox
from edge.video.drawing import INSET, TRAIL, Scene, annotated, colour_of, follow, motion_picture, picture_size
from tests.some_event import some_event
from tests.spot_model import MANIFEST, spot

NOTHING = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), np.empty((0, 2)))
BOX = (96.0, 96.0, 224.0, 192.0)  # in a frame of 640x360
EMPTY = Scene()


def frame(index: int = 0, image: NDArray[np.uint8] | None = None) -> Frame:
    image = np.full((360, 640, 3), 60, np.uint8) if image is None else image
    return Frame("door", index, index / 25, index / 25, image)


def person(tube: int = 1, box: tuple[float, ...] = BOX) -> TubeBox:
    return TubeBox(tube, 0, np.array(box, np.float32), 0.9, np.array([0.9, 0.1], np.float32), True)


def event(kind: str, tube: int = 1) -> Event:
    named = {"type": kind, "event_id": f"event of {tube}", "tube": tube, "action": "Basketball"}
    return some_event(BOX, score=0.9, top_score=0.9, frame_size=(640, 360), **named)


def step(*people: TubeBox, events: tuple[Event, ...] = (), map_: NDArray[np.float32] | None = None) -> Step:
    return Step(lambda: map_, NOTHING, people, events)


def draw(taken: Frame, happened: Step, scene: Scene = EMPTY) -> NDArray[np.uint8]:
    scene = follow(scene, taken, happened)
    size = picture_size((taken.image.shape[1], taken.image.shape[0]))
    return annotated(taken, happened, scene, MANIFEST, size)


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
def test_picture_size(frame_size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert picture_size(frame_size) == expected


def test_the_frame_itself_is_not_drawn_upon() -> None:
    taken = frame()
    before = taken.image.copy()
    draw(taken, step(person()))
    assert (taken.image == before).all()


def test_nobody_leaves_the_picture_as_it_is_above_the_caption() -> None:
    assert (draw(frame(), step())[:330] == 60).all()


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
    begun = follow(Scene(), frame(), step(person(), events=(event("new"),)))
    assert list(begun.running) == ["event of 1"]
    assert not follow(begun, frame(1), step(person(), events=(event("end"),))).running


def test_boxes_are_scaled_with_the_frame() -> None:
    picture = draw(frame(image=np.full((1440, 2560, 3), 60, np.uint8)), step(person(3, (400, 400, 800, 900))))
    assert tuple(picture[300, 200]) == colour_of(3)  # 2560 pixels become 1280


def test_a_trail_follows_the_foot_and_goes_with_the_person() -> None:
    scene = Scene()
    for index in range(TRAIL + 10):
        scene = follow(scene, frame(index), step(person(1, (index, 0, index + 64.0, 180))))
    assert len(scene.trails[1]) == TRAIL
    assert scene.trails[1][-1] == pytest.approx(((TRAIL + 9 + 32) / 640, 0.5))
    assert follow(scene, frame(99), step()).trails == {}


def test_a_trail_is_drawn() -> None:
    scene = follow(Scene(), frame(), step(person(2, (0, 200, 64, 300))))
    picture = draw(frame(1), step(person(2, (300, 200, 364, 300))), scene)
    assert np.allclose(picture[300, 180], colour_of(2), atol=30)  # between the feet at x = 32 and 332


@pytest.mark.parametrize("kind", ["ssim", "dsim", "flow", "previous"])
def test_what_moves_is_bright(kind: str) -> None:
    """A block that was not there before, against a still background."""
    manifest = replace(MANIFEST, motion=MotionSettings(kind=kind, shifts=False))  # type: ignore[arg-type]
    before, now = spot(None), spot(60)
    found, _ = motion.motion_map(normalise(before, manifest), normalise(now, manifest), manifest.motion)
    moved = motion_picture(found, now, manifest)
    assert moved.shape == (64, 64)
    assert (moved.min(), moved.max()) >= (0, 0)
    assert moved.max() <= 1
    assert moved[20:32, 26:30].mean() > 0.7  # the block: rows 30 to 70 of 120, columns 60 to 86 of 160, times 0.4
    assert moved[50:, :].mean() < 0.05


def test_the_inset_shows_the_map_without_the_bars_of_the_input() -> None:
    """A map that moves all over: the whole inset is bright, though a third of the network's input is bars."""
    still = draw(frame(), step(map_=np.ones((64, 64, 3), np.float32)))
    moving = draw(frame(), step(map_=np.zeros((64, 64, 3), np.float32)))
    height, width = round(360 * INSET), round(640 * INSET)
    assert (moving[20 : height - 4, -width + 4 : -4].mean(axis=2) > 150).all()
    assert (still[20 : height - 4, -width + 4 : -4].mean(axis=2) < 20).all()
    assert (moving[height + 1 : 330] == 60).all()


def test_the_caption_names_what_goes_on() -> None:
    quiet = draw(frame(), step())
    busy = draw(frame(), step(events=(event("new"),)))
    assert (busy[:330] == quiet[:330]).all()
    assert busy[340:].max() > 240
    assert quiet[340:].max() < 200


@pytest.mark.parametrize("size", [(1, 1), (640, 2), (2, 640), (3, 5), (3840, 2160)])
def test_every_frame_size_can_be_drawn(size: tuple[int, int]) -> None:
    width, height = size
    happened = step(
        person(1, (-5, -5, 2 * width, 2 * height)), events=(event("new"),), map_=np.zeros((64, 64, 3), np.float32)
    )
    picture = draw(frame(image=np.zeros((height, width, 3), np.uint8)), happened)
    assert (picture.shape[1], picture.shape[0]) == picture_size(size)


def test_a_box_far_outside_is_drawn_at_the_edge() -> None:
    draw(frame(), step(person(1, (-1e30, -1e30, 1e30, 1e30)), person(2, (np.nan,) * 4)))
