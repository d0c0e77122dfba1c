"""The memory through the pipeline, with a network that sums up brightness: what it must hold can be counted by hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import pipeline
from edge.engines import onnxruntime_engine
from edge.inference import Engine, EngineError
from edge.manifest import Preprocessing
from edge.pipeline import FrameInput, PipelineSettings, PipelineState, StepResult
from edge.sources import Frame
from edge.streaming_memory import MemoryState, picture
from edge.tiles import Tiling
from tests.support.memory_model import INTERVAL, write_memory_model

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")

SETTINGS = PipelineSettings(minimum_score=0.0)
SIZE = (64, 48)  # (width, height)


def image(brightness: float, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """One colour, `brightness` fifths of white: 51 is a whole number of grey levels."""
    return np.full((size[1], size[0], 3), round(brightness * 5) * 51, np.uint8)


def frame(index: int, time: float, brightness: float = 1, size: tuple[int, int] = SIZE) -> Frame:
    return Frame("door", index, time, time, image(brightness, size))


def start(camera: str = "door") -> PipelineState:
    return pipeline.initial(camera, "seed")


def score(result: StepResult) -> float:
    """That of the one detection: a quarter of the last map."""
    (found,) = result.detections.scores
    return float(found)


def memory(state: PipelineState) -> MemoryState:
    assert state.memory is not None
    return state.memory


def total(state: PipelineState) -> float:
    """The sum in the memory, of which both halves are the same."""
    first, second = memory(state).parts[0].ravel()
    assert first == second
    return float(first)


def looked(state: PipelineState) -> int:
    """At how many pictures."""
    return int(memory(state).parts[1][0, 0])


def play(engine: Engine, times: list[float], state: PipelineState | None = None) -> list[tuple[PipelineState, float]]:
    """State and score after each of these white frames."""
    reached, played = state or start(), []
    for index, time in enumerate(times):
        reached, result = pipeline.step(reached, frame(index, time), engine, SETTINGS)
        played.append((reached, score(result)))
    return played


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return onnxruntime_engine.load(write_memory_model(tmp_path).detector, 1)


@pytest.mark.parametrize("inside", ["outside", "graph"])
@pytest.mark.parametrize("wanted", ["outside", "graph"])
def test_a_stream_sums_up_as_by_hand(inside: Preprocessing, wanted: Preprocessing, tmp_path: Path) -> None:
    """At 25 frames a second every fourth is looked at: 1, 1 / 2 + 1, 1.5 / 2 + 1; the maps hold in between."""
    model = write_memory_model(tmp_path, preprocessing=inside)
    engine = onnxruntime_engine.load(model.detector, 1, preprocessing=wanted)
    assert engine.preprocessor == ("graph" if inside == wanted == "graph" else "cpu")
    played = play(engine, [index / 25 for index in range(12)])
    assert [found for _, found in played] == [sum_ / 4 for sum_ in (1, 1.5, 1.75) for _ in range(4)]
    assert [looked(state) for state, _ in played] == [1] * 4 + [2] * 4 + [3] * 4


def test_pictures_of_other_brightness(engine: Engine) -> None:
    """0.2, 0.2 / 2 + 0.6 = 0.7, 0.7 / 2 + 0 = 0.35."""
    state = start()
    for index, (brightness, expected) in enumerate([(0.2, 0.2), (0.6, 0.7), (0, 0.35)]):
        state, result = pipeline.step(state, frame(index, index * INTERVAL, brightness), engine, SETTINGS)
        assert total(state) == pytest.approx(expected)
        assert score(result) == pytest.approx(expected / 4)


def test_two_cameras_at_different_rates_in_one_batch(engine: Engine) -> None:
    """One at 25 frames a second, one that only every fifth batch has a frame of; each as if it were alone."""
    batches: list[int] = []
    assert engine.memory is not None

    def counted(inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        batches.append(len(inputs["image"]))
        assert engine.memory is not None
        return dict(engine.memory.infer(inputs))

    spied = replace(engine, memory=replace(engine.memory, infer=counted))  # type: ignore[arg-type]
    fast, slow = start("fast"), start("slow")
    for index in range(20):
        given = [FrameInput(fast, frame(index, index / 25), SETTINGS)]
        if index % 5 == 0:
            given.append(FrameInput(slow, frame(index // 5, 100 + index / 25, 0.4), SETTINGS))
        stepped = pipeline.step_batch(given, spied)
        fast, slow = stepped[0][0], stepped[-1][0] if len(stepped) == 2 else slow
    assert batches == [2, 1, 1, 1, 1, 1, 1, 1]  # fast at 0, 4, 8, 12, 16; slow at 0, 5, 10, 15
    assert (looked(fast), total(fast)) == (5, 1.9375)
    assert (looked(slow), total(slow)) == (4, pytest.approx(0.4 * 1.875))
    alone = play(engine, [index / 25 for index in range(20)])[-1][0]
    np.testing.assert_array_equal(memory(fast).parts[0], memory(alone).parts[0])


def test_a_memory_that_takes_one_picture_at_a_time(engine: Engine) -> None:
    assert engine.memory is not None
    single = replace(engine, memory=replace(engine.memory, largest_batch=1))
    given = [FrameInput(start(str(n)), frame(0, 0.0, n / 5), SETTINGS) for n in range(5)]
    for one in (engine, single):
        assert [total(state) for state, _ in pipeline.step_batch(given, one)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize(
    ("time", "pictures"),
    [(4.9, 3), (0.32 + 30 * INTERVAL + 0.1, 1), (0.1, 1), (-5.0, 1)],
    ids=["frames missed", "a long pause", "a clock a little back", "a clock far back"],
)
def test_it_begins_anew_after_a_pause_or_where_the_clock_steps_back(time: float, pictures: int, engine: Engine) -> None:
    (*_, (state, _), (after, found)) = play(engine, [0.0, INTERVAL, time])
    assert looked(state) == 2
    assert looked(after) == pictures
    assert found == pytest.approx((1 if pictures == 1 else 1.75) / 4)


def test_another_picture_size_begins_anew(engine: Engine) -> None:
    (*_, (state, _)) = play(engine, [0.0, INTERVAL])
    state, result = pipeline.step(state, frame(2, 2 * INTERVAL, size=(80, 48)), engine, SETTINGS)
    assert (looked(state), score(result)) == (1, 0.25)


def test_the_memory_of_another_network_is_not_used(engine: Engine) -> None:
    (*_, (state, _)) = play(engine, [0.0, INTERVAL])
    other = replace(memory(state).network, weights="1" * 64)
    foreign = replace(state, memory=replace(memory(state), network=other, parts=()))
    assert looked(pipeline.step(foreign, frame(2, 2 * INTERVAL), engine, SETTINGS)[0]) == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_memory_that_is_not_finite_begins_anew_with_its_next_step(broken: float, engine: Engine) -> None:
    """A sum in it would stay so for ever; the frames until then keep what the step gave."""
    ((state, _),) = play(engine, [0.0])
    parts = [np.full_like(part, broken) for part in memory(state).parts]
    poisoned = replace(state, memory=replace(memory(state), parts=parts))
    played = play(engine, [1 / 25, 4 / 25, 8 / 25], poisoned)
    assert not np.isfinite(memory(played[0][0]).parts[0]).any()
    assert [(looked(state), total(state)) for state, _ in played[1:]] == [(1, 1), (2, 1.5)]


def test_tiles_share_the_memory_of_the_whole_picture(engine: Engine) -> None:
    """A white left half: the whole is half bright, whatever a tile shows. New tiles leave the memory as it is."""
    half = image(0, (256, 192))
    half[:, :128] = 255
    tiled = replace(SETTINGS, tiling=Tiling(columns=2, rows=1))
    state = start()
    for index, settings in enumerate((tiled, tiled, SETTINGS)):
        given = Frame("door", index, index * INTERVAL, index * INTERVAL, half)
        state, result = pipeline.step(state, given, engine, settings)
        assert looked(state) == index + 1
        expected = (0.5, 0.75, 0.875)[index]
        assert total(state) == pytest.approx(expected)
        assert set(result.detections.scores) == {np.float32(expected / 4)}


def test_each_tile_is_told_where_it_lies(engine: Engine) -> None:
    """Two halves of a frame of 2 : 1, each a square as the network's input is."""
    given: list[NDArray[np.float32]] = []

    def listening(inputs: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        given.extend(inputs["placement"])
        return engine.infer(inputs)

    spied = replace(engine, infer=listening)
    halves = replace(SETTINGS, tiling=Tiling(columns=2, rows=1, overlap=0))
    for settings in (SETTINGS, halves):
        pipeline.step(start(), frame(0, 0.0, size=(128, 64)), spied, settings)
    np.testing.assert_allclose(given, [[1, 0, 2, -0.5], [0.5, 0, 1, 0], [0.5, 0.5, 1, 0]], atol=1e-6)


def test_its_stage_comes_first(engine: Engine) -> None:
    laps: list[str] = []
    pipeline.step(start(), frame(0, 0.0), engine, SETTINGS, laps.append)
    assert tuple(laps) == (pipeline.MEMORY_STAGE, *pipeline.STAGES)


def test_the_state_given_is_not_changed(engine: Engine) -> None:
    (*_, (state, _)) = play(engine, [0.0])
    again = [pipeline.step(state, frame(1, INTERVAL), engine, SETTINGS)[0] for _ in range(2)]
    assert [total(one) for one in again] == [1.5, 1.5]
    assert total(state) == 1


def test_a_state_keeps_no_other_cameras_memory_alive(engine: Engine) -> None:
    given = [FrameInput(start(str(n)), frame(0, 0.0), SETTINGS) for n in range(3)]
    for state, _ in pipeline.step_batch(given, engine):
        assert all(part.base is None and len(part) == 1 for part in memory(state).parts)


def test_an_engine_without_the_memory_that_it_needs(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"spot reads the maps of a memory, and was opened without"):
        pipeline.step(start(), frame(0, 0.0), replace(engine, memory=None), SETTINGS)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (3, 200), (1920, 1080)])
def test_the_picture_is_the_whole_frame_in_rgb(size: tuple[int, int]) -> None:
    blue = np.zeros((size[1], size[0], 3), np.uint8)
    blue[..., 0] = 51
    found = picture(blue, 8)
    assert (found.shape, found.dtype) == ((3, 8, 8), np.float32)
    assert [float(plane.max()) for plane in found] == pytest.approx([0, 0, 0.2])
    assert float(found[2].min()) == pytest.approx(0.2)
