"""What a network that sees clips is shown of a stream, through the pipeline: starts, pauses, drops, tiles, cameras."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import pipeline
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP, ClipInput
from edge.clip_branch import CLIP_STAGE, ClipBranch, clip_summary
from edge.clip_inference import of_clips, seeing_clips
from edge.inference import Engine
from edge.manifest import INPUT, Manifest, output_shapes
from edge.pipeline import FrameInput, PipelineSettings, PipelineState
from edge.sources import Frame
from edge.tiles import Tiling
from tests.support import clip_model

FOUR = ClipInput(4)
SETTINGS = PipelineSettings()


def levels(value: NDArray[np.float32]) -> list[int]:
    """The grey level of each frame of a clip (3, L, h, w), of frames that are one colour throughout."""
    found: list[int] = np.rint(255 * value[0].max(axis=(1, 2))).astype(int).tolist()
    return found


@dataclass
class Watched:
    """An engine that answers nothing, and notes what its networks are given."""

    clip: ClipInput = FOUR
    rate: float = 25.0
    largest: int = 8
    clips: list[list[list[int]]] = field(default_factory=list)  # of each run of the branch, of each camera
    given: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    @property
    def engine(self) -> Engine:
        manifest = clip_model.described(self.clip, self.rate)
        engine = Engine(lambda inputs: self._infer(manifest, inputs), manifest, "0" * 64, "none", self.largest)
        return seeing_clips(engine, ClipBranch(self._map, self.largest))

    def _map(self, inputs: Any) -> Any:
        seen = inputs[CLIP]
        self.clips.append([levels(one) for one in seen])
        cells = seen.mean(axis=(1, 3, 4))[..., None, None]
        return {NEWEST_MAP: np.broadcast_to(cells, (*cells.shape[:2], 2, 2))}

    def _infer(self, manifest: Manifest, inputs: Any) -> Any:
        self.given.append(dict(inputs))
        shapes = output_shapes(manifest, len(inputs[INPUT]))
        return {name: np.zeros(shape, np.int64 if name == "labels" else np.float32) for name, shape in shapes.items()}


def frame(time: float, level: int, size: tuple[int, int] = (64, 64)) -> Frame:
    return Frame("door", 0, time, time, np.full((size[1], size[0], 3), level, np.uint8))


def watch(watched: Watched, shown: Iterable[Frame], settings: PipelineSettings = SETTINGS) -> PipelineState:
    engine, state = watched.engine, pipeline.initial("door", "seed")
    for one in shown:
        state, _ = pipeline.step(state, one, engine, settings)
    return state


def at_rate(*grey: int, first: int = 0) -> list[Frame]:
    """Frames of these levels, 25 a second."""
    return [frame((first + index) / 25, level) for index, level in enumerate(grey)]


def of_one(watched: Watched) -> list[list[int]]:
    """The clips of one camera, one a run."""
    assert all(len(batch) == 1 for batch in watched.clips)
    return [batch[0] for batch in watched.clips]


def test_a_streams_first_frame_is_repeated() -> None:
    watched = Watched()
    watch(watched, at_rate(10, 20, 30, 40, 50))
    assert of_one(watched) == [[10] * 4, [10, 10, 10, 20], [10, 10, 20, 30], [10, 20, 30, 40], [20, 30, 40, 50]]


def test_the_key_frame_and_the_map_of_its_clip_go_in_together() -> None:
    watched = Watched()
    watch(watched, at_rate(51, 102))
    images, maps = (np.concatenate([one[name] for one in watched.given]) for name in (INPUT, CLIP_MAP))
    assert images.shape == (2, 3, 64, 64)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), [0.2, 0.4], atol=1e-6)
    np.testing.assert_allclose(maps[:, :, 0, 0], [[0.2] * 4, [0.2, 0.2, 0.2, 0.4]], atol=1e-6)


def test_with_every_the_newest_map_is_used_in_between() -> None:
    watched = Watched(ClipInput(2, every=3))
    watch(watched, at_rate(0, 51, 102, 153, 204, 255))
    assert of_one(watched) == [[0, 0], [102, 153]]
    seen = [one[CLIP_MAP][0, -1, 0, 0] for one in watched.given]
    np.testing.assert_allclose(seen, [0, 0, 0, 0.6, 0.6, 0.6], atol=1e-6)


def test_frames_dropped_inside_a_clip_are_replaced_by_their_neighbours() -> None:
    watched = Watched()
    watch(watched, [*at_rate(10, 20, 30, 40), *at_rate(60, 70, first=5)])
    assert of_one(watched)[-2:] == [[30, 40, 40, 60], [40, 40, 60, 70]]


def test_after_a_pause_longer_than_the_clip_it_begins_anew() -> None:
    """As when a camera was away and reconnects; the map is made anew too."""
    watched = Watched(ClipInput(4, every=100))
    watch(watched, [*at_rate(10, 20), *at_rate(70, 80, first=9)])
    assert of_one(watched) == [[10] * 4, [70] * 4]


def test_a_clock_that_steps_back_begins_anew() -> None:
    watched = Watched()
    watch(watched, [*at_rate(10, 20, first=100), *at_rate(70)])
    assert of_one(watched)[-1] == [70] * 4


def test_a_camera_that_changes_size_within_a_clip_begins_anew() -> None:
    watched = Watched()
    watch(watched, [*at_rate(10, 20), frame(2 / 25, 30, (64, 32)), frame(3 / 25, 40, (64, 32))])
    assert of_one(watched)[-2:] == [[30] * 4, [30, 30, 30, 40]]


def test_of_a_camera_of_another_rate_the_frames_nearest_in_time() -> None:
    watched = Watched(ClipInput(3))
    watch(watched, [frame(index / 50, 10 * index) for index in range(8)])
    assert of_one(watched)[-1] == [30, 50, 70]
    slow = Watched(ClipInput(3))
    watch(slow, [frame(index, 10 * index) for index in range(3)])  # one a second: none is within the clip's time
    assert of_one(slow)[-1] == [20] * 3


def test_of_a_fast_camera_no_more_is_kept_than_said() -> None:
    state = watch(Watched(), [frame(index / 1000, index % 250) for index in range(400)])
    (kept,) = state.motion_states
    assert len(kept.frames) == len(kept.times) <= FOUR.most_kept == 9


def test_a_clip_of_one_frame() -> None:
    watched = Watched(ClipInput(1, step=5))
    state = watch(watched, at_rate(10, 20, 30))
    assert of_one(watched) == [[10], [20], [30]]
    assert len(state.motion_states[0].frames) == 1


def test_the_map_of_a_clip_of_one_frame_serves_as_many_as_said() -> None:
    watched = Watched(ClipInput(1, every=3))
    watch(watched, at_rate(10, 20, 30, 40, 50, 60, 70))
    assert of_one(watched) == [[10], [40], [70]]
    slow = Watched(ClipInput(1, every=3))
    watch(slow, [frame(index, 10 * index) for index in range(3)])  # one a second: each map is too old for the next
    assert of_one(slow) == [[0], [10], [20]]


def test_each_tile_has_its_own_clip() -> None:
    watched = Watched(ClipInput(2))
    halves = np.full((64, 128, 3), 50, np.uint8)
    halves[:, 64:] = 200
    tiled = replace(SETTINGS, tiling=Tiling(columns=2, rows=1, overlap=0.0))
    shown = [replace(one, image=image) for one, image in zip(at_rate(0, 0), (halves, halves // 2), strict=True)]
    state = watch(watched, shown, tiled)
    assert watched.clips == [[[50, 50], [200, 200]], [[50, 25], [200, 100]]]
    assert len(state.motion_states) == 2


@pytest.mark.parametrize(("largest", "runs"), [(8, [3, 2, 1]), (2, [2, 1, 2, 1])])
def test_cameras_share_runs_and_keep_their_own_clips(largest: int, runs: list[int]) -> None:
    """Only those are in a run whose maps are due: all three, none, two, and one of two."""
    watched = Watched(ClipInput(2, every=2), largest=largest)
    engine, states = watched.engine, [pipeline.initial(name, name) for name in "abc"]
    for step, cameras in enumerate(((0, 1, 2), (0,), (1, 2), (0, 1))):
        shown = [FrameInput(states[i], frame((step + (i == 1)) / 25, 10 * step + i), SETTINGS) for i in cameras]
        for i, (state, _) in zip(cameras, pipeline.step_batch(shown, engine), strict=True):
            states[i] = state
    assert [len(batch) for batch in watched.clips] == runs
    assert all(clip[0] % 10 == clip[1] % 10 for batch in watched.clips for clip in batch)


def test_the_time_of_clips_is_told_apart() -> None:
    watched, stages = Watched(), list[str]()
    pipeline.step(pipeline.initial("door", ""), frame(0, 9), watched.engine, SETTINGS, stages.append)
    assert stages == ["preprocess", "motion", CLIP_STAGE, "network", "link", "events"]


def test_both_networks_at_once() -> None:
    watched = Watched()
    of_clips(watched.engine)({INPUT: np.zeros((1, 3, 64, 64)), CLIP: np.ones((1, 3, 4, 64, 64), np.float32)})
    assert watched.given[0][CLIP_MAP].shape == (1, 4, 2, 2)
    assert watched.given[0][CLIP_MAP].min() == 1


def test_in_words() -> None:
    told = "clips of 8 frames 0.08 s apart, a new map every 0.16 s, up to 1.7 MB for each camera"
    manifest = clip_model.described(ClipInput(8, 2, 4))
    assert clip_summary(manifest, 1) == told
    assert clip_summary(manifest) == f"{told} or tile"
    assert clip_summary(manifest, 4).endswith("up to 6.7 MB for each camera")
    assert clip_summary(clip_model.spot_model.MANIFEST) == ""
