"""The one video of all that was found: what is in it, in which order, and how long."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from edge.broker.payload import iso_time
from edge.history.search import FoundEvent
from edge.history.tube_points import TubePoint
from edge.indexing.summary import Scene, _of_video, drawn, summary_size
from edge.sources import Frame
from tests.support.spot_model import spot, write_frames

FRAMES = 150  # six seconds


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("video") / "yard.avi", [spot(20)] * FRAMES)


def scene(video: Path, begin: float, end: float, action: str = "Run") -> Scene:
    payload = {"started": iso_time(begin), "duration": end - begin}
    event = FoundEvent(action, video.name, action, 0.9, 0.0, True, video, payload, None, None, 0.0)
    return Scene(event, begin, end, {})


def shown(video: Path, scenes: list[Scene]) -> list[tuple[str, int, int]]:
    """Each scene's first frame and its number of frames."""
    found: dict[str, list[int]] = {}
    for one, frame, last in _of_video(video, scenes):
        found.setdefault(one.event.action, []).append(frame.index)
        assert (last is None) == (len(found[one.event.action]) == 1)
    return [(action, indices[0], len(indices)) for action, indices in found.items()]


def test_scenes_follow_one_another_even_where_they_overlap(video: Path) -> None:
    scenes = [scene(video, 0.0, 3.0, "a"), scene(video, 1.0, 2.0, "b"), scene(video, 1.5, 4.0, "c")]
    scenes += [scene(video, 5.0, 9.0, "d"), scene(video, 5.6, 9.0, "e"), scene(video, 20.0, 21.0, "gone")]
    assert shown(video, scenes) == [("a", 0, 76), ("b", 25, 26), ("c", 38, 63), ("d", 125, 25), ("e", 140, 10)]
    assert shown(video, []) == []


def test_a_frame_shows_the_person_and_who_does_what_when() -> None:
    name = "a-very-long-name-of-a-file-of-footage-of-the-yard.mp4"
    one = scene(Path(name), 3723.0, 3725.0, "Fall")
    assert one.caption() == "Fall 0.90  a-very-long-name...-of-the-yard.mp4  1:02:03"
    assert datetime.fromtimestamp(3723, timezone.utc).isoformat().endswith("01:02:03+00:00")
    tall = Frame(name, 7, 0.0, 0.0, np.full((400, 100, 3), 90, np.uint8))
    box = TubePoint(0.0, 7, (0.0, 0.5, 1.0, 1.0), 0.9, True)
    image = drawn(Scene(one.event, 0.0, 1.0, {7: box}), tall, (640, 360))
    assert image.shape == (360, 640, 3)
    assert image[200, 100].tolist() == [0, 0, 0]  # beside a frame that is not as wide
    assert image[100, 320].tolist() == [90, 90, 90]
    assert image[180, 320].tolist() != [90, 90, 90]  # the upper edge of the box
    assert image[6:14, 6:200].max() > 150  # the caption


@pytest.mark.parametrize(
    ("size", "canvas"),
    [((160, 120), (640, 480)), ((1920, 1080), (960, 540)), ((720, 576), (720, 576)), ((639, 480), (960, 720))],
)
def test_small_videos_are_enlarged_so_that_a_caption_fits(size: tuple[int, int], canvas: tuple[int, int]) -> None:
    assert summary_size(size) == pytest.approx(canvas, abs=2)
