"""`korsal-evaluate --preprocessing`: what prepares frames, said in the report, and refused where it cannot be had."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.engines import engine_build, motion_cuda
from edge.engines.tensorrt_build_plan import BuildOptions
from tests.support import fake_device
from tests.support.annotated_player import write_data, write_model
from tests.support.fake_cv2_cuda import FakeCv2Cuda
from tests.support.frame_model import write_frame_model
from tests.support.spot_model import MANIFEST as SPOT_MANIFEST
from tests.support.spot_model import write_spot_model, write_spot_video
from train.evaluate import main
from train.evaluation import detection_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the command says where it cannot do its job: one line on stderr, exit status 1."""
    assert main([str(argument) for argument in arguments]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("korsal-evaluate: ")
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_model_s_own_graph_is_evaluated_where_that_is_asked_for(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    model, out = write_frame_model(tmp_path / "frames.onnx"), tmp_path / "scores.json"
    said = {}
    for preprocessing in ("auto", "cpu", "graph"):
        words = ["--data", data, "--json", out, "--jobs", jobs, "--preprocessing", preprocessing]
        assert main([str(model), *map(str, words)]) == 0
        heading, *_, last = capsys.readouterr().out.splitlines()
        said[preprocessing] = heading.partition("linker default")[2]
        own = json.loads(out.read_text())["protocol"]["model"]["preprocessing"]
        assert own == ("graph" if preprocessing == "graph" else "cpu")
        assert (f"--preprocessing {preprocessing}" in last) == (preprocessing != "auto")  # the next command's, too
    inside = ", frames prepared in the model's own graph; percent"
    assert said == {"auto": "; percent", "cpu": "; percent", "graph": inside}


@pytest.mark.parametrize("preprocessing", ["auto", "cpu", "cuda", "graph"])
def test_an_engine_s_input_is_filled_as_asked_for(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], preprocessing: str
) -> None:
    model, out = write_model(tmp_path / "tiny.onnx"), tmp_path / "scores.json"
    gpu = fake_device.use(fake_device.gpu_of(model), monkeypatch)
    monkeypatch.setattr(motion_cuda, "usable", lambda: FakeCv2Cuda(gpu.runtime))
    platform = engine_build.platform_of(gpu.trt, gpu.cuda.device())
    engine_build.build(gpu.trt, model, tmp_path / "tiny.engine", BuildOptions(), platform)
    words = [str(tmp_path / "tiny.engine"), "--data", str(data), "--json", str(out), "--preprocessing", preprocessing]
    if preprocessing == "graph":
        assert "--preprocessing is graph, but its frames are prepared on the CPU" in complaint(capsys, *words)
    else:
        assert main(words) == 0
        content = json.loads(out.read_text())
        assert content["protocol"]["model"]["preprocessing"] == ("cuda" if preprocessing == "cuda" else "cpu")
        assert content["frame_map"]["0.5"] == pytest.approx(50 * 16 / 48, abs=0.01)
    assert gpu.runtime.leaks == 0


def test_preprocessing_that_cannot_be_had_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unlike on a device nothing takes its place: the scores would be of something else."""
    plain, frames = write_model(tmp_path / "tiny.onnx"), write_frame_model(tmp_path / "frames.onnx")
    for model, preprocessing, cure in ((plain, "graph", "--with-motion"), (plain, "cuda", "give a TensorRT engine")):
        said = complaint(capsys, model, "--data", data, "--preprocessing", preprocessing)
        assert f"{model}: --preprocessing is {preprocessing}, but its frames are prepared on the CPU; " in said
        assert cure in said
    words = (frames, "--data", data, "--preprocessing", "cuda")
    assert "give a TensorRT engine" in complaint(capsys, *words)
    assert "give a TensorRT engine" in complaint(capsys, "detect", *words, "-o", tmp_path / "found.npz")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_model_s_own_preprocessing_finds_what_the_cpu_s_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    """One that `korsal-convert export --with-motion` makes; that of the frame model is another one, so it is seen."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    from convert import graft

    real, other = write_spot_model(tmp_path / "real.onnx"), write_frame_model(tmp_path / "other.onnx")
    inside = replace(SPOT_MANIFEST, preprocessing="graph")
    grafted = graft.with_preprocessing(onnx.load(str(real)), SPOT_MANIFEST)
    onnx.helper.set_model_props(grafted, {manifests.METADATA_KEY: manifests.to_json(inside)})
    onnx.save(grafted, str(real))
    videos = [write_spot_video(tmp_path / f"{name}.avi", shown) for name, shown in (("a", 50), ("b", 30))]
    found = {}
    for model in (real, other):
        for where in ("graph", "cpu"):
            words = ("--videos", *videos, "-o", tmp_path / "found.npz", "--jobs", jobs, "--preprocessing", where)
            assert main([str(word) for word in ("detect", model, *words)]) == 0
            assert ("prepared in the model's own graph" in capsys.readouterr().out) == (where == "graph")
            found[model, where] = detection_file.load(tmp_path / "found.npz")
    graph, cpu = found[real, "graph"], found[real, "cpu"]
    assert len(cpu.scores) >= 80
    np.testing.assert_array_equal(graph.frames, cpu.frames)
    np.testing.assert_allclose(graph.scores, cpu.scores, atol=1e-5)
    np.testing.assert_allclose(graph.boxes, cpu.boxes, atol=1e-3)
    assert not np.array_equal(found[other, "graph"].boxes, found[other, "cpu"].boxes)  # it stretches what it fits
