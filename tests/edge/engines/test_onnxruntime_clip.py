"""A file with two networks, for clips and for frames, in ONNX Runtime; and such files that are wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import pipeline
from edge.clip import CLIP, CLIP_MAP, NEWEST_MAP, ClipInput
from edge.engines import onnxruntime_engine
from edge.engines.onnx_parts import clip_part, detector_part
from edge.engines.protobuf import ProtobufError
from edge.inference import EngineError
from edge.manifest import INPUT, OUTPUTS
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from tests.support import clip_model
from tests.support.clip_model import write_clip_model
from tests.support.spot_model import write_spot_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
CLIP_OF_TWO = ClipInput(2, every=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_clip_model(tmp_path / "clips.onnx", CLIP_OF_TWO)
    return tmp_path / "clips.onnx"


def test_the_two_networks_share_nothing(file: Path) -> None:
    content = file.read_bytes()
    branch, detector = (onnx.load_model_from_string(part(content)) for part in (clip_part, detector_part))
    for model in (branch, detector):
        onnx.checker.check_model(model)
    assert [one.name for one in branch.graph.input] == [CLIP]
    assert [one.name for one in branch.graph.output] == [NEWEST_MAP]
    assert {one.name for one in detector.graph.input} == {INPUT, CLIP_MAP}
    assert {one.name for one in detector.graph.output} == set(OUTPUTS)
    assert not {one.name for one in branch.graph.initializer} & {one.name for one in detector.graph.initializer}
    made = [{name for node in model.graph.node for name in node.output} for model in (branch, detector)]
    assert all(made)
    assert not made[0] & made[1]


def test_its_score_is_that_of_the_newest_map(file: Path) -> None:
    engine, settings = onnxruntime_engine.load(file, threads=1), PipelineSettings(minimum_score=0.0)
    state, scores = pipeline.initial("door", "seed"), []
    for index, level in enumerate((51, 102, 153, 255)):
        image = np.full((64, 64, 3), level, np.uint8)
        state, result = pipeline.step(state, Frame("door", index, index / 25, index / 25, image), engine, settings)
        scores.append(float(result.detections.scores[0]))
    assert scores == pytest.approx([0.2, 0.2, 0.5, 0.5], abs=1e-4)  # of the second and third, and so again


def test_a_file_without_one_of_them(file: Path, tmp_path: Path) -> None:
    write_spot_model(tmp_path / "spot.onnx", clip_model.described(CLIP_OF_TWO))
    with pytest.raises(ProtobufError, match="nothing in it reads or gives clip"):
        clip_part((tmp_path / "spot.onnx").read_bytes())
    with pytest.raises(EngineError, match=r"spot\.onnx: nothing in it reads or gives clip_map; export it again"):
        onnxruntime_engine.load(tmp_path / "spot.onnx", threads=1)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (ClipInput(3, channels=2), r"its clip is \(3, 2, 64, 64\), but its manifest says \(3, 3, 64, 64\); export"),
        (ClipInput(2, channels=3), r"its input is .*, but its manifest says .*'?clip_map'? \(3, 2, 2\)"),
        (ClipInput(2), r"its manifest says .*clip_map \(0, 2, 2\)"),  # as a checkpoint has it
    ],
)
def test_a_manifest_that_is_not_the_files(clip: ClipInput, message: str, tmp_path: Path) -> None:
    other = replace(clip_model.described(CLIP_OF_TWO), clip=clip)
    write_clip_model(tmp_path / "clips.onnx", CLIP_OF_TWO, other)
    with pytest.raises(EngineError, match=message):
        onnxruntime_engine.load(tmp_path / "clips.onnx", threads=1)


def test_a_clip_that_no_camera_has_room_for(tmp_path: Path) -> None:
    large = replace(clip_model.described(CLIP_OF_TWO), clip=ClipInput(64, step=50, channels=2))
    write_clip_model(tmp_path / "clips.onnx", CLIP_OF_TWO, large)
    with pytest.raises(EngineError, match=r"clips\.onnx: the manifest is wrong: for clip a device keeps up to 7003"):
        onnxruntime_engine.load(tmp_path / "clips.onnx", threads=1)
