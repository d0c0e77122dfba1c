"""A model that prepares frames itself, in ONNX Runtime, gives what the CPU's preparation and its network give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import inference, pipeline
from edge.engines import onnxruntime_engine
from edge.inference import Engine, EngineError, NetworkFrame
from edge.motion_gap import MotionGap
from edge.motion_map import MotionSettings
from edge.pipeline import FrameInput, PipelineSettings
from edge.sources import Frame
from tests.support.frame_model import MANIFEST, write_frame_model
from tests.support.spot_model import SIDE, spot, write_spot_model

SAME, OTHER = (SIDE, SIDE), (96, 48)  # (width, height): the model leaves frames of the input's size unchanged


@pytest.fixture
def both(tmp_path: Path) -> tuple[Engine, Engine]:
    """The model as it is, and with the CPU before its network."""
    path = write_frame_model(tmp_path / "frames.onnx")
    return onnxruntime_engine.load(path, preprocessing="graph"), onnxruntime_engine.load(path)


def frame(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(index).integers(0, 40, (size[1], size[0], 3), dtype=np.uint8)
    return np.maximum(noise, spot(4 + 2 * index, size))


def results(
    engine: Engine, sizes: list[tuple[int, int]], gap: int = 1, count: int = 6
) -> list[list[NDArray[np.float32]]]:
    """Boxes, scores and motion map of each camera, frame by frame, all cameras in one batch."""
    states = [None] * len(sizes)
    found = []
    for index in range(count):
        given = [
            NetworkFrame(frame(index, size), index / 25, engine.manifest.motion, MotionGap(gap / 25, 25), state)
            for size, state in zip(sizes, states, strict=True)
        ]
        for one in (answers := inference.run_network(engine, given, lambda stage: None)):
            motion = one.motion()
            assert motion is not None
            found.append([one.outputs["boxes"], one.outputs["scores"], motion])
        states = [one.motion_state for one in answers]
    return found


@pytest.mark.parametrize("gap", [1, 2, 4])
@pytest.mark.parametrize("sizes", [[SAME], [SAME, SAME], [SAME, OTHER]])
def test_frames_and_their_past_are_those_of_the_cpu(
    both: tuple[Engine, Engine], sizes: list[tuple[int, int]], gap: int
) -> None:
    """Cameras of different sizes too, which the CPU fits first."""
    assert both[0].run_frames is not None
    assert both[1].run_frames is None
    for ours, theirs in zip(*(results(engine, sizes, gap) for engine in both), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_frames_of_one_size_are_fitted_by_the_model(both: tuple[Engine, Engine]) -> None:
    """This one picks the nearest pixels, unlike the CPU; black bars it has none."""
    (boxes, _, _), *_ = results(both[0], [OTHER, OTHER], count=1)
    np.testing.assert_allclose(boxes[0, 0, :2], [4 * SIDE / 96, 12 * SIDE / 48], atol=1)


def test_another_size_begins_anew(both: tuple[Engine, Engine]) -> None:
    """As after a change of the camera's resolution: the map is that against zeros."""
    state, settings = pipeline.initial("door", "seed"), PipelineSettings()
    for index, size in enumerate((SAME, SAME, OTHER, OTHER)):
        image = frame(index, size)
        given = FrameInput(state, Frame("door", index, index / 10, index / 10, image), settings)
        ((state, result),) = pipeline.step_batch([given], both[0])
        (whole,) = result.motion()
        assert whole.motion_map.any() == (index % 2 == 1)


@pytest.mark.parametrize("inside", [True, False])
def test_after_a_long_pause_the_map_is_that_of_the_first_frame(both: tuple[Engine, Engine], inside: bool) -> None:
    """Not that against what the camera saw before it was away; in the graph as on the CPU."""
    state, settings = pipeline.initial("door", "seed"), PipelineSettings()
    for index, (time, compared) in enumerate([(0, False), (0.04, True), (60, False), (60.04, True), (61, True)]):
        given = FrameInput(state, Frame("door", index, time, time, frame(index, SAME)), settings)
        ((state, result),) = pipeline.step_batch([given], both[0 if inside else 1])
        (whole,) = result.motion()
        assert whole.motion_map.any() == compared


def test_a_model_without_motion_map(tmp_path: Path) -> None:
    manifest = replace(MANIFEST, motion=MotionSettings("none"))
    path = write_frame_model(tmp_path / "still.onnx", manifest)
    engine, cpu = onnxruntime_engine.load(path, preprocessing="graph"), onnxruntime_engine.load(path)
    given = [NetworkFrame(frame(1, SAME), 0.0, manifest.motion, manifest.gap, None)]
    (ours,), (theirs,) = (inference.run_network(one, given, lambda stage: None) for one in (engine, cpu))
    assert ours.motion() is None
    np.testing.assert_allclose(ours.outputs["boxes"], theirs.outputs["boxes"])
    np.testing.assert_allclose(ours.outputs["scores"], theirs.outputs["scores"], atol=1e-6)


def test_a_model_that_has_nothing_inside_is_opened_as_it_is(tmp_path: Path) -> None:
    assert onnxruntime_engine.load(write_spot_model(tmp_path / "spot.onnx"), preprocessing="graph").run_frames is None


def test_an_interface_unlike_the_manifest(tmp_path: Path) -> None:
    plain = replace(MANIFEST, preprocessing="outside")
    path = write_spot_model(tmp_path / "claims.onnx", MANIFEST)
    with pytest.raises(EngineError, match="no tensor image between preprocessing and network; export it again"):
        onnxruntime_engine.load(path)
    with pytest.raises(
        EngineError, match=r"its input is \{'image'.*says frame \(-1, -1, 3\) and previous \(3, 64, 64\)"
    ):
        onnxruntime_engine.load(path, preprocessing="graph")
    path = write_frame_model(tmp_path / "conceals.onnx", plain)
    with pytest.raises(EngineError, match=r"its input is \{'frame'.* but its manifest says image \(6, 64, 64\)"):
        onnxruntime_engine.load(path)


def test_outputs_that_are_missing(tmp_path: Path) -> None:
    path = write_frame_model(tmp_path / "blind.onnx", without=("fitted",))
    with pytest.raises(EngineError, match="has no output fitted; export it with korsal-convert export"):
        onnxruntime_engine.load(path, preprocessing="graph")
    assert onnxruntime_engine.load(path).run_frames is None  # the network needs none of it
