"""Stories over synthetic frames, with a network that is a plain function."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import detector, pipeline
from edge import motion_map as motion
from edge.default_linker import DefaultLinker, LinkerSettings
from edge.event_settings import ActionSettings, EventSettings
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from edge.pipeline import PipelineSettings, StepResult
from edge.sources import Frame
from edge.tiles import Tiling

LABELS = ("Run", "Jump")
WIDTH, HEIGHT = 96, 64
BOX = (10.0, 10.0, 50.0, 60.0)
SETTINGS = PipelineSettings(events=EventSettings(ActionSettings(min_duration=0.1, cooldown=0.2, update_interval=0.0)))


class Network:
    """Detects Run at BOX when the frame is bright; records its inputs."""

    def __init__(self) -> None:
        self.inputs: list[NDArray[np.float32]] = []

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        image = inputs["image"]
        self.inputs.append(image[0])
        score = 0.9 if image[0, :3].mean() > 0 else 0.0
        return {
            "boxes": np.array([[BOX]], np.float32),
            "scores": np.array([[score]], np.float32),
            "labels": np.array([[0]], np.int64),
            "class_scores": np.array([[[score, 0.05]]], np.float32),
        }


def manifest(settings: MotionSettings) -> Manifest:
    return Manifest("tiny", LABELS, HEIGHT, WIDTH, settings, top_k=1, rate=10)


def picture(number: int, size: tuple[int, int] = (WIDTH, HEIGHT), brightness: int = 100) -> NDArray[np.uint8]:
    width, height = size
    noise = np.random.default_rng(number).integers(0, 100, (height, width, 3))
    return (noise + brightness).astype(np.uint8)


def run(
    images: Sequence[NDArray[np.uint8]], settings: MotionSettings, tuned: PipelineSettings = SETTINGS
) -> tuple[Network, list[StepResult]]:
    """The pictures at 10 frames per second."""
    network = Network()
    engine = Engine(network, manifest(settings), "0" * 64, "a function")
    frames = [Frame("door", index, 1000 + index / 10, index / 10, image) for index, image in enumerate(images)]
    run_over = pipeline.run(frames, engine, tuned, pipeline.initial("door", "seed"))
    return network, [result for _, result, _ in run_over]


def motion_of(step: StepResult) -> NDArray[np.float32]:
    (whole,) = step.motion()
    return whole.motion_map


def normalised(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return detector.normalise(image, manifest(MotionSettings()))


def planes(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array.transpose(2, 0, 1)


@pytest.mark.parametrize("gap", [1, 3])
def test_the_previous_frame_lies_gap_back(gap: int) -> None:
    """Zeros for the first; then the oldest there is, until there are enough."""
    images = [picture(number) for number in range(7)]
    network, _ = run(images, MotionSettings("previous", gap=gap))
    assert not network.inputs[0][3:].any()
    for index in range(1, 7):
        expected = normalised(images[max(index - gap, 0)])
        np.testing.assert_array_equal(network.inputs[index][3:], planes(expected))
        np.testing.assert_array_equal(network.inputs[index][:3], planes(normalised(images[index])))


@pytest.mark.parametrize("kind", ["ssim", "dsim"])
@pytest.mark.parametrize("gap", [1, 2])
def test_the_map_is_that_of_the_two_frames(kind: Literal["ssim", "dsim"], gap: int) -> None:
    settings = MotionSettings(kind, gap=gap)
    images = [picture(number) for number in range(4)]
    network, steps = run(images, settings)
    blank = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for index in range(4):
        previous = normalised(images[max(index - gap, 0)]) if index else blank
        expected, _ = motion.motion_map(previous, normalised(images[index]), settings)
        np.testing.assert_allclose(network.inputs[index][3:], planes(expected), atol=1e-6)
        np.testing.assert_array_equal(motion_of(steps[index]), network.inputs[index][3:].transpose(1, 2, 0))


def test_without_motion_the_network_gets_the_frame_alone() -> None:
    network, steps = run([picture(0), picture(1)], MotionSettings("none"))
    assert [image.shape for image in network.inputs] == [(3, HEIGHT, WIDTH)] * 2
    assert all(step.motion() == () for step in steps)


def test_a_still_camera_has_no_motion() -> None:
    image = picture(0)
    _, steps = run([image, image], MotionSettings("ssim"))
    np.testing.assert_allclose(motion_of(steps[1]), 1.0, atol=1e-4)


def test_a_change_of_frame_size_resets_the_state() -> None:
    """Motion begins with zeros again, the open event ends, and tubes are numbered on."""
    images = [picture(number) for number in range(8)] + [picture(number, (64, 64), 150) for number in range(8)]
    network, steps = run(images, MotionSettings("previous"))
    assert network.inputs[7][3:].any()
    assert not network.inputs[8][3:].any()
    published = [(event.type, event.reason_ended, event.frame_size) for step in steps for event in step.events]
    assert [(kind, reason) for kind, reason, _ in published] == [("new", None), ("end", "lost"), ("new", None)]
    assert published[2][2] == (64, 64)
    before, after = ({tube.tube for step in part for tube in step.tube_boxes} for part in (steps[:8], steps[8:]))
    assert before
    assert after
    assert max(before) < min(after)


def test_a_region_is_all_that_the_network_sees() -> None:
    """The right half: its input is that of the half alone, and boxes are in pixels of the whole frame."""
    image = picture(0, (2 * WIDTH, HEIGHT))
    half = replace(SETTINGS, tiling=Tiling((0.5, 0, 0.5, 1)))
    network, steps = run([image, image], MotionSettings("ssim"), half)
    np.testing.assert_array_equal(network.inputs[0][:3], planes(normalised(image[:, WIDTH:])))
    np.testing.assert_allclose(steps[0].detections.boxes, [np.add(BOX, (WIDTH, 0, WIDTH, 0))], atol=1e-3)
    (seen,) = steps[1].motion()
    assert seen.tile == (WIDTH, 0, 2 * WIDTH, HEIGHT)
    np.testing.assert_allclose(seen.motion_map, 1.0, atol=1e-4)


def test_each_tile_is_compared_with_itself() -> None:
    """A person in each half, in one call for each as the engine takes one image; a still scene has no motion."""
    image = picture(0, (2 * WIDTH, HEIGHT))
    halves = replace(SETTINGS, tiling=Tiling(columns=2, overlap=0.0))
    network, steps = run([image, image], MotionSettings("ssim"), halves)
    assert len(network.inputs) == 4
    assert len(steps[0].detections.boxes) == 2
    for one in steps[1].motion():
        np.testing.assert_allclose(one.motion_map, 1.0, atol=1e-4)
    assert [one.tile[0] for one in steps[1].motion()] == [0, WIDTH]


def test_another_tiling_resets_the_state_as_another_size_does() -> None:
    network = Network()
    engine = Engine(network, manifest(MotionSettings("previous")), "0" * 64, "a function")
    state, numbers = pipeline.initial("door", "seed"), []
    for index in range(8):
        settings = replace(SETTINGS, tiling=Tiling((0, 0, 0.5, 0.5))) if index >= 4 else SETTINGS
        frame = Frame("door", index, index / 10, index / 10, picture(index))
        state, result = pipeline.step(state, frame, engine, settings)
        numbers.append({one.tube for one in result.tube_boxes})
    assert network.inputs[3][3:].any()
    assert not network.inputs[4][3:].any()
    assert max(numbers[3]) < min(numbers[7])


def test_frames_of_ever_other_sizes_are_taken() -> None:
    sizes = [(1, 1), (3840, 2160), (31, 47), (1, 500), (96, 64)]
    network, steps = run([picture(0, size) for size in sizes], MotionSettings("ssim"))
    assert {image.shape for image in network.inputs} == {(6, HEIGHT, WIDTH)}
    for step, (width, height) in zip(steps, sizes, strict=True):
        assert (step.detections.boxes <= (width, height, width, height)).all()


def test_an_event_starts_and_ends() -> None:
    """Seen from frame 5 to 14 at 10 fps; it ends when it was last seen, which is known after the cooldown."""
    images = [picture(n, brightness=150 if 5 <= n < 15 else 0) for n in range(40)]
    _, steps = run(images, MotionSettings("none"))
    published = [(index, event) for index, step in enumerate(steps) for event in step.events]
    assert [event.type for _, event in published] == ["new", "end"]
    (began, new), (ended, end) = published
    assert 5 <= began <= 9
    assert ended >= 15
    assert (new.action, new.event_id) == ("Run", end.event_id)
    assert new.started_unix == pytest.approx(1000.5, abs=0.31)
    assert end.ended_unix == pytest.approx(1001.4, abs=0.01)
    np.testing.assert_allclose(new.box, BOX, atol=0.5)


@pytest.mark.parametrize(("start", "tubes"), [(0.95, 0), (0.2, 1)])
def test_tubes_start_where_events_begin(start: float, tubes: int) -> None:
    events = EventSettings(ActionSettings(start_score=start, keep_score=0.05))
    linker = DefaultLinker(LinkerSettings(high_score=0.99, any_factor=2.0))
    _, steps = run([picture(0, brightness=150)] * 3, MotionSettings("none"), PipelineSettings(linker, events))
    assert [len(step.tube_boxes) for step in steps] == [tubes] * 3


def test_weak_detections_are_dropped_at_once() -> None:
    images = [picture(0)] * 3
    _, steps = run(images, MotionSettings("none"), PipelineSettings(minimum_score=0.95))
    assert all(len(step.detections.scores) == 0 for step in steps)


def test_the_same_frames_give_the_same_events() -> None:
    images = [picture(n, brightness=150 if n < 6 else 0) for n in range(20)]
    first, second = ([event for step in run(images, MotionSettings())[1] for event in step.events] for _ in range(2))
    assert [vars(event).keys() for event in first] == [vars(event).keys() for event in second]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_equal(vars(a), vars(b))
    assert first


def test_stages_are_reported_in_order() -> None:
    laps: list[str] = []
    engine = Engine(Network(), manifest(MotionSettings()), "0" * 64, "a function")
    frame = Frame("door", 0, 0.0, 0.0, picture(0))
    pipeline.step(pipeline.initial("door", "seed"), frame, engine, SETTINGS, laps.append)
    assert tuple(laps) == pipeline.STAGES


def test_the_state_given_is_not_changed() -> None:
    """The same state twice gives the same, whatever came between."""
    engine = Engine(Network(), manifest(MotionSettings("previous")), "0" * 64, "a function")
    start, _ = pipeline.step(pipeline.initial("door", "s"), Frame("door", 0, 0.0, 0.0, picture(0)), engine, SETTINGS)
    again = [pipeline.step(start, Frame("door", 1, 0.1, 0.1, picture(1)), engine, SETTINGS)[1] for _ in range(2)]
    np.testing.assert_array_equal(motion_of(again[0]), motion_of(again[1]))
    np.testing.assert_array_equal(again[0].detections.boxes, again[1].detections.boxes)
    assert [t.tube for t in again[0].tube_boxes] == [t.tube for t in again[1].tube_boxes]
