"""A video gives the same events however often it is interrupted, none lost and none twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from edge.clip import ClipInput
from edge.history import search
from edge.history.event_store import EventStore
from edge.history.search import EventFilter
from edge.indexing import indexed_videos, video_parts
from edge.indexing.search_job import SearchFailed, SearchJob, answers
from edge.indexing.video_parts import FramesDone, VideoPart, VideoSearcher
from tests.support import spot_model
from tests.support.indexed_clips import DARK, SHOWN, found_in, settings, write_spots

PERIOD = 10 + SHOWN + DARK  # frames from one event to the next


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VideoSearcher, Path]]:
    """A searcher whose parts are short, and a video of two events."""
    folder = tmp_path_factory.mktemp("videos")
    with pytest.MonkeyPatch.context() as patch, VideoSearcher(settings(folder)) as searcher:
        patch.setattr(video_parts, "PART_FRAMES", 60)
        yield searcher, write_spots(folder / "yard.avi", 2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    store = EventStore(tmp_path / "s.sqlite")
    yield store
    store.close()


def parts(looked: tuple[VideoSearcher, Path], first: int = 0, identity: str = "it") -> list[VideoPart]:
    searcher, video = looked
    return [one for one in searcher.parts(video, identity, first) if isinstance(one, VideoPart)]


def test_a_run_that_is_killed_goes_on_and_loses_and_doubles_nothing(
    looked: tuple[VideoSearcher, Path], store: EventStore
) -> None:
    searcher, video = looked
    whole = list(searcher.parts(video, "it"))
    assert sum(one.count for one in whole if isinstance(one, FramesDone)) == 2 * PERIOD
    found = [one for one in whole if isinstance(one, VideoPart)]
    assert [part.first for part in found[1:]] == [part.following for part in found[:-1]]
    assert (found[0].first, found[-1].following, found[-1].ended) == (0, 2 * PERIOD, True)
    assert len(found) > 2
    indexed_videos.begin(store, video, "it", "model")
    for part in found[:1]:  # then it is killed
        assert indexed_videos.add(store, video, "it", part, 1e9)
        assert not indexed_videos.add(store, video, "it", part, 1e9)
    before = indexed_videos.begin(store, video, "it", "model")
    assert before == indexed_videos.VideoProgress(found[0].following, False)
    for part in parts(looked, before.frames):
        assert indexed_videos.add(store, video, "it", part, 1e9)
    assert indexed_videos.begin(store, video, "it", "model") == indexed_videos.VideoProgress(2 * PERIOD, True)
    kept = search.find(store.path, EventFilter())
    assert len(kept) == sum(len(part.found) for part in found) == 2
    assert [time for _, time in found_in(store.path)] == pytest.approx([0.4, 0.4 + PERIOD / 25])
    assert all(event.picture is not None and cv2.imread(str(event.picture)) is not None for event in kept)
    points = search.tube(store.path, kept[0])
    assert [point.frame_index for point in points[:3]] == [10, 11, 12]
    assert (kept[0].payload["type"], kept[0].camera, kept[0].video) == ("end", "yard.avi", video)


@pytest.mark.parametrize(
    ("clip", "rate", "frames"),
    [
        (None, 5, 250),
        (None, 25, 250),
        (None, 120, 1200),  # 10 s, as of 25 a second
        (ClipInput(8, 2), 60, 600),
        (ClipInput(64, 6), 50, 756),  # 63 * 6 / 25 = 15.12 s
    ],
)
def test_what_is_seen_again_is_as_long_whatever_the_rate(clip: ClipInput | None, rate: float, frames: int) -> None:
    assert video_parts.warm_frames(replace(spot_model.MANIFEST, clip=clip), rate) == frames


def test_another_file_of_that_name_and_other_settings_are_looked_through_anew(
    looked: tuple[VideoSearcher, Path], store: EventStore
) -> None:
    _, video = looked
    whole = parts(looked)
    for identity, found_with in (("it", "model"), ("changed", "model"), ("changed", "other")):
        assert indexed_videos.begin(store, video, identity, found_with).frames == 0
        assert found_in(store.path) == []
        for part in whole:
            indexed_videos.add(store, video, identity, part, 1e9)
        assert len(found_in(store.path)) == 2


def test_what_decides_what_is_found_is_in_the_hash(tmp_path: Path) -> None:
    one = settings(tmp_path)
    config = one.config
    mirrored = {"video": config.cameras["video"].model_copy(update={"flip": "horizontal"})}
    stricter = config.model_copy(update={"linker": config.linker.model_copy(update={"high_score": 0.5})})
    others = (config.model_copy(update={"cameras": mirrored}), stricter)
    hashes = {VideoSearcher(replace(one, config=other)).found_with for other in (config, config, *others)}
    assert len(hashes) == 3


def test_a_video_without_a_frame_is_a_sentence(looked: tuple[VideoSearcher, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(range(256)) * 9)
    (answer,) = answers(looked[0], SearchJob(broken, "it"))
    assert isinstance(answer, SearchFailed)
    assert "cannot be read as video" in answer.fault


def test_copies_of_a_file_have_events_of_their_own(looked: tuple[VideoSearcher, Path], tmp_path: Path) -> None:
    searcher, video = looked
    copy = tmp_path / video.name
    copy.write_bytes(video.read_bytes())
    ids = {
        next(part.found[0].payload["event_id"] for part in searcher.parts(one, "it") if isinstance(part, VideoPart))
        for one in (video, copy)
    }
    assert len(ids) == 2
