"""A checkpoint of a network without training, exported, and run by ONNX Runtime beside torch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from convert import onnx_graph
from convert.__main__ import main
from convert.comparison import BOX_TOLERANCE, SCORE_TOLERANCE
from convert.export import export, scores
from convert.onnx_file import OnnxFileError
from convert.torch_export import ExportError
from edge import detector, model_files, motion_map
from edge import manifest as manifests
from edge.cameras.video_file import read_file
from edge.config.schema import ModelConfig
from edge.engines import onnxruntime_engine
from edge.manifest import OUTPUTS
from edge.model_listing import listed
from tests.support.full_disk import full_disk
from tests.support.paths import ROOT
from tests.support.untrained_model import MANIFEST, write_untrained_checkpoint
from train import checkpoint as checkpoints

torch.set_num_threads(1)
CLIP = ROOT / "demo" / "basketball.mp4"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.pt")


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "new" / "tiny.onnx"
    export(checkpoints.load(checkpoint), path, {"name": "tiny-1", "licence": "none at all"})
    return path


def compare(checkpoint: Path, exported: Path, image: np.ndarray) -> None:
    """Both give the same peaks: scores in order; where two scores are apart, the same boxes and labels."""
    expected = checkpoints.engine(checkpoints.load(checkpoint)).infer({"image": image})
    got = onnxruntime_engine.load(exported, threads=1).infer({"image": image})
    assert tuple(got) == OUTPUTS
    for name in OUTPUTS:
        assert got[name].shape == expected[name].shape
        assert got[name].dtype == expected[name].dtype
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=SCORE_TOLERANCE)
    for row in range(len(image)):
        gaps = -np.diff(expected["scores"][row], prepend=2, append=-1)
        alone = np.minimum(gaps[:-1], gaps[1:]) > 1e-4
        alone[-1] = False  # the next best may be as good
        assert alone.any()
        for name, tolerance in (("boxes", BOX_TOLERANCE), ("labels", 0), ("class_scores", SCORE_TOLERANCE)):
            np.testing.assert_allclose(got[name][row][alone], expected[name][row][alone], atol=tolerance)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_onnx_answers_as_torch_for_any_batch(batch: int, checkpoint: Path, exported: Path) -> None:
    image = np.random.default_rng(batch).normal(size=(batch, 6, 64, 96)).astype(np.float32)
    compare(checkpoint, exported, image)


def test_onnx_answers_as_torch_on_real_frames(checkpoint: Path, exported: Path) -> None:
    frames = read_file(CLIP, "demo")
    first, second = (detector.normalise(next(frames).image, MANIFEST) for _ in range(2))
    cue, _ = motion_map.motion_map(first, second, MANIFEST.motion)
    compare(checkpoint, exported, detector.network_input(second, cue))


def test_the_manifest_is_in_the_metadata(exported: Path) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    manifest = manifests.from_json(properties[manifests.METADATA_KEY])
    hashed = {"weights": onnx_graph.weights_digest(onnx.load(exported))}
    assert manifest == replace(MANIFEST, name="tiny-1", licence="none at all", training={**MANIFEST.training, **hashed})


def test_other_weights_have_another_hash_and_their_order_does_not_matter(exported: Path) -> None:
    model = onnx.load(exported)
    hashed = onnx_graph.weights_digest(model)
    model.graph.initializer.reverse()
    assert onnx_graph.weights_digest(model) == hashed
    changed = onnx.numpy_helper.to_array(model.graph.initializer[0]) + np.float32(1e-3)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(changed, model.graph.initializer[0].name))
    assert onnx_graph.weights_digest(model) != hashed


def test_nothing_else_is_left(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["tiny.onnx"]


def test_the_graph_has_a_free_batch_and_no_batch_norm(exported: Path) -> None:
    graph = onnx.load(exported).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {output.name for output in graph.output} == set(OUTPUTS)
    assert "BatchNormalization" not in {node.op_type for node in graph.node}


def test_the_command(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.onnx"
    assert main(["export", str(checkpoint), "-o", str(target), "--name", "mine"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{target}: mine, 3 actions, ")
    assert "answers as torch does, on noise only, --calibrate VIDEO gives it real frames: differs by " in output
    assert onnxruntime_engine.load(target, threads=1).manifest.name == "mine"


def test_the_command_compares_on_real_frames(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["export", str(checkpoint), "-o", str(tmp_path / "out.onnx"), "--calibrate", str(CLIP), "--frames", "16"]
    assert main(given) == 0
    output = capsys.readouterr().out
    assert "answers as torch does, on 16 real frames: differs by " in output
    assert "pixels in boxes (0.1 allowed), 0 of " in output


def test_real_frames_on_which_it_differs(checkpoint: Path, tmp_path: Path) -> None:
    """Frames that are not finite stand for an export that goes wrong on some."""
    with pytest.raises(ExportError, match="differs from torch by nan in scores"):
        export(
            checkpoints.load(checkpoint),
            tmp_path / "out.onnx",
            images=[{"image": np.full((1, 6, 64, 96), np.nan, np.float32)}],
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [0, 100_000])
def test_a_disk_that_fills(limit: int, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"the old one")
    with pytest.raises(OnnxFileError, match=r"cannot be written \(File too large\); free space"), full_disk(limit):
        export(checkpoints.load(checkpoint), target)
    assert target.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("given", "target", "message"),
    [
        ("missing.pt", "out.onnx", "missing.pt: no such file; give a .pt that korsal-train wrote"),
        ("text.pt", "out.onnx", "text.pt: not a checkpoint"),
        (
            "good.pt",
            "text.pt/out.onnx",
            "out.onnx: cannot be written (File exists); free space on the disk or choose",
        ),
        (
            "good.pt",
            "folder",
            "folder: cannot be written (Is a directory); free space on the disk or choose",
        ),
    ],
)
def test_refusals_are_one_sentence_errors(
    given: str, target: str, message: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.pt").write_text("not a checkpoint")
    (tmp_path / "good.pt").write_bytes(checkpoint.read_bytes())
    assert main(["export", str(tmp_path / given), "-o", str(tmp_path / target)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("korsal-convert: ")
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "good.pt", "text.pt"]


def test_no_file_takes_the_place_of_what_it_is_made_from(
    checkpoint: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, onnx_path, link = tmp_path / "a.pt", tmp_path / "a.onnx", tmp_path / "link.onnx"
    weights.write_bytes(checkpoint.read_bytes())
    onnx_path.write_bytes(exported.read_bytes())
    link.symlink_to(onnx_path)
    for given in (
        ["export", weights, "-o", weights],
        ["quantize", onnx_path, "-o", onnx_path, "--precision", "fp16"],
        ["quantize", onnx_path, "-o", link],
    ):
        assert main([str(one) for one in given]) == 1
        assert "is what it would be made from; choose another -o" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["build", str(onnx_path), "-o", str(onnx_path), "--dry-run", "10.3"])
    assert "a.onnx is what it would be built from; choose another -o" in capsys.readouterr().err
    assert weights.read_bytes() == checkpoint.read_bytes()
    assert onnx_path.read_bytes() == exported.read_bytes()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--max-map-drop", "nan"], "nan is no number of points"),
        (["--max-map-drop", "inf"], "inf is no number of points"),
        (["--frames", "0"], "0: give a whole number, 1 or more"),
        (["--frames", "many"], "many: give a whole number, 1 or more"),
        (["--max-batch", "1.5"], "1.5: give a whole number, 1 or more"),
    ],
)
def test_numbers_that_are_none(option: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["weights.pt", "-o", "x", *option])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


PROTOCOL = {"data": "d", "videos": 2, "rule": "voc", "frames": "all", "linker": "default", "version": "0"}
REPORT = {
    "protocol": PROTOCOL,
    "frame_map": {"0.5": 60.0},
    "video_map": {"0.5": 40.0},
    "per_class": {},
}


def test_measured_scores_join_the_manifest(checkpoint: Path, tmp_path: Path) -> None:
    report, target = tmp_path / "report.json", tmp_path / "out.onnx"
    report.write_text(json.dumps(REPORT))
    assert main(["export", str(checkpoint), "-o", str(target), "--scores", str(report)]) == 0
    training = onnxruntime_engine.load(target, threads=1).manifest.training
    assert training["data"] == "none"
    assert training["scores"]["frame_map"] == {"0.5": 60.0}
    assert "version" not in training["scores"]["protocol"]


def test_scores_on_several_data_sets_stand_side_by_side(checkpoint: Path, tmp_path: Path) -> None:
    reports, target = [tmp_path / name for name in ("one.json", "two.json")], tmp_path / "out.onnx"
    for path, score in zip(reports, (60.0, 50.0), strict=True):
        path.write_text(
            json.dumps({**REPORT, "protocol": {**PROTOCOL, "data": path.stem}, "frame_map": {"0.5": score}})
        )
    assert main(["export", str(checkpoint), "-o", str(target), "--scores", *map(str, reports)]) == 0
    manifest = onnxruntime_engine.load(target, threads=1).manifest
    assert [one["frame_map"]["0.5"] for one in manifest.training["scores"]] == [60.0, 50.0]
    named = model_files.read(target)
    assert named
    lines = listed(named, ModelConfig(), tmp_path)
    assert any(line.endswith(", frame-mAP@0.5 60.00 (one), 50.00 (two)") for line in lines)


def test_a_file_of_another_precision_has_scores_of_its_own(exported: Path, tmp_path: Path) -> None:
    report, target = tmp_path / "report.json", tmp_path / "half.onnx"
    report.write_text(json.dumps(REPORT))
    half = ["quantize", str(exported), "-o", str(target), "--precision", "fp16"]
    assert main([*half, "--scores", str(report)]) == 0
    manifest = onnxruntime_engine.load(target, threads=1).manifest
    assert manifest.precision == "fp16"
    assert manifest.training["scores"]["frame_map"] == {"0.5": 60.0}


def test_start_scores_are_chosen_for_labels_of_the_model(checkpoint: Path, tmp_path: Path) -> None:
    chosen, target = tmp_path / "start.json", tmp_path / "out.onnx"
    label = checkpoints.load(checkpoint).manifest.labels[0]
    chosen.write_text(json.dumps({"start_scores": {label: 0.35}}))
    command = ["export", str(checkpoint), "-o", str(target), "--start-scores", str(chosen)]
    assert main(command) == 0
    assert onnxruntime_engine.load(target, threads=1).manifest.start_scores == {label: 0.35}
    other = tmp_path / "other.json"  # chosen on another data set
    other.write_text(json.dumps({"start_scores": {label: 0.4}}))
    assert main([*command, str(other)]) == 0
    assert onnxruntime_engine.load(target, threads=1).manifest.start_scores == {label: 0.4}
    target.unlink()
    chosen.write_text(json.dumps({"start_scores": {"fly": 0.35}}))
    assert main(command) == 1
    assert not target.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"protocol": 5}'])
def test_what_is_no_report(content: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(ExportError, match=r"report\.json: cannot be read .*; give what korsal-evaluate --json wrote"):
        scores(path)
    path.write_text(content)
    with pytest.raises(ExportError, match=r"report\.json: no report .*; give what korsal-evaluate --json wrote"):
        scores(path)


def test_a_report_of_saved_tubes_names_no_linker(tmp_path: Path) -> None:
    protocol = {"data": "Ten", "videos": 3, "rule": "voc", "frames": "all"}
    report = {"protocol": {**protocol, "name": "plain"}, "frame_map": {"0.5": 60.6}, "video_map": {"0.5": 56.6}}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert scores(path) == {**report, "protocol": protocol}
    path.write_text(json.dumps({**report, "protocol": {**protocol, "linker": "korsal"}}))
    assert scores(path)["protocol"]["linker"] == "korsal"


def test_weights_that_are_not_finite_are_not_exported(checkpoint: Path, tmp_path: Path) -> None:
    broken = checkpoints.load(checkpoint)
    weights = {name: value.clone() for name, value in broken.weights.items()}
    weights["heatmap.3.bias"][:] = float("nan")
    checkpoints.save(replace(broken, weights=weights), tmp_path / "broken.pt")
    with pytest.raises(checkpoints.CheckpointError, match=r"the weights are broken \(heatmap\.3\.bias"):
        export(checkpoints.load(tmp_path / "broken.pt"), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
