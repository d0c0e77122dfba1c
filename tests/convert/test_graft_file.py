"""Files with preprocessing inside: `korsal-convert export --with-motion` of a checkpoint and of an ONNX."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from onnx import numpy_helper

from convert import graft, onnx_file
from convert.__main__ import main
from convert.graft import GraftError
from convert.graft_file import graft_file
from edge import pipeline
from edge.engines import onnxruntime_engine
from edge.manifest import FRAME, INPUT, OUTPUTS, PREVIOUS
from edge.memory_network import FEATURES, PLACEMENT, TAP
from edge.motion_map import MotionSettings
from edge.pipeline import PipelineSettings
from edge.sources import Frame
from tests.support.memory_model import write_memory_model
from tests.support.paths import ROOT
from tests.support.real_builder import build_for_real, real_builder
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint, write_untrained_onnx

CLIP = ROOT / "demo" / "basketball.mp4"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "tiny.onnx"
    write_untrained_onnx(path)
    return path


def test_a_checkpoint_is_exported_with_its_preprocessing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, output = write_untrained_checkpoint(tmp_path / "tiny.pt"), tmp_path / "tiny.onnx"
    given = ["export", str(checkpoint), "-o", str(output), "--with-motion", "--calibrate", str(CLIP), "--frames", "16"]
    assert main([*given, "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "on 16 real frames" in said
    assert "another shift in 0 of 19 frames" in said
    model, manifest = onnx_file.read(output)
    assert manifest.preprocessing == "graph"
    assert [value.name for value in model.graph.input] == [FRAME, PREVIOUS]


def test_an_onnx_gets_its_preprocessing_in_place(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(plain.read_bytes())
    assert main(["export", str(path), "-o", str(path), "--with-motion", "--quiet"]) == 0
    _, before = onnx_file.read(plain)
    _, after = onnx_file.read(path)
    assert after == replace(before, preprocessing="graph")
    assert main(["export", str(path), "-o", str(path), "--with-motion", "--quiet"]) == 1
    assert "prepares frames itself already" in capsys.readouterr().err


def test_the_network_inside_is_the_one_outside(plain: Path, tmp_path: Path) -> None:
    graft_file(plain, both := tmp_path / "both.onnx")
    image = np.random.default_rng(0).normal(size=(1, 6, MANIFEST.height, MANIFEST.width)).astype(np.float32)
    answers = [onnxruntime_engine.load(path, threads=1).infer({INPUT: image}) for path in (plain, both)]
    for name in OUTPUTS:
        np.testing.assert_array_equal(answers[0][name], answers[1][name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "is exported already; add --with-motion"),
        (["--with-motion", "--name", "other"], "--name goes with a checkpoint"),
    ],
)
def test_what_an_onnx_cannot_be_given(
    options: list[str], message: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.onnx"
    assert main(["export", str(plain), "-o", str(output), *options, "--quiet"]) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_a_map_that_is_not_the_daemons_is_refused(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another C2 would give it."""
    original = graft.with_preprocessing

    def altered(*given: object) -> object:
        model = original(*given)  # type: ignore[arg-type]
        for tensor in model.graph.initializer:
            value = numpy_helper.to_array(tensor)
            if tensor.name.startswith("/preprocessing/") and value.ndim == 0 and 8e-4 < value < 9e-4:  # 0.03² / SAMPLE
                tensor.CopyFrom(numpy_helper.from_array(np.float32(10 * value), tensor.name))
        return model

    monkeypatch.setattr(graft, "with_preprocessing", altered)
    with pytest.raises(GraftError, match="it differs from the daemon's by"):
        graft_file(plain, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_nvidias_parser_and_builder_take_it(plain: Path, tmp_path: Path) -> None:
    real_builder()
    graft_file(plain, both := tmp_path / "both.onnx")
    assert build_for_real(both, tmp_path).platform.tensorrt


def test_what_is_made_of_such_a_file_is_one_too(plain: Path, tmp_path: Path) -> None:
    graft_file(plain, both := tmp_path / "both.onnx")
    output = tmp_path / "half.onnx"
    assert main(["quantize", str(both), "-o", str(output), "--precision", "fp16", "--quiet"]) == 0
    _, manifest = onnx_file.read(output)
    assert (manifest.precision, manifest.preprocessing) == ("fp16", "graph")


@pytest.mark.parametrize("kind", ["none", "ssim"])
def test_the_maps_of_a_memory_stay_inputs(kind: Literal["none", "ssim"], tmp_path: Path) -> None:
    """And both ways of preparing frames answer the same; four frames lie between two steps of the memory."""
    model = write_memory_model(tmp_path, motion=MotionSettings(kind))
    graft_file(model.detector, model.detector)
    grafted, manifest = onnx_file.read(model.detector)
    assert manifest.memory == model.manifest.memory
    assert [one.name for one in grafted.graph.input] == [
        FRAME,
        *[PREVIOUS] * (kind == "ssim"),
        FEATURES,
        TAP,
        PLACEMENT,
    ]
    for way in ("graph", "outside"):
        engine = onnxruntime_engine.load(model.detector, 1, preprocessing=way)
        assert engine.preprocessor == ("graph" if way == "graph" else "cpu")
        state, scores = pipeline.initial("door", "seed"), []
        for index in range(9):
            frame = Frame("door", index, index / 25, index / 25, np.full((48, 64, 3), 255, np.uint8))
            state, result = pipeline.step(state, frame, engine, PipelineSettings(minimum_score=0.0))
            scores.append(result.detections.scores.item())
        assert scores == [0.25] * 4 + [0.375] * 4 + [0.4375]
