"""The files beside a model, on disk: those of its weights, and those that only look like them."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge import model_files
from edge.commands.models import models
from edge.model_files import base_name, beside, read, siblings
from tests.support.paths import ROOT
from tests.support.spot_model import MANIFEST, write_spot_model

HASHED = replace(MANIFEST, training={"weights": "a1"})


def write(path: Path, precision: str = "fp32", weights: str = "a1", target: str = "") -> Path:
    noted = {"quantisation": {"target": target}} if target else {}
    return write_spot_model(path, replace(MANIFEST, precision=precision, training={"weights": weights, **noted}))


def test_files_of_the_same_weights(tmp_path: Path) -> None:
    named = write(tmp_path / "spot.onnx")
    half = write(tmp_path / "spot-fp16.onnx", "fp16")
    write(tmp_path / "spot-int8.onnx", "int8", weights="older")
    write(tmp_path / "spot2-fp16.onnx", "fp16")
    write(tmp_path / "other-fp16.onnx", "fp16")
    (tmp_path / "spot-notes.onnx").write_text("no model")
    (tmp_path / "spot-folder.onnx").mkdir()
    file = read(named)
    assert file is not None
    assert [one.path for one in siblings(file)] == [half]
    assert {one.path.name: reason for one, reason in beside(file)} == {
        "spot-fp16.onnx": "",
        "spot-int8.onnx": "has other weights",
    }


def test_the_fp32_file_is_found_beside_another_precision(tmp_path: Path) -> None:
    write(tmp_path / "spot.onnx")
    file = read(write(tmp_path / "spot-int8-cpu.onnx", "int8", target="cpu"))
    assert file is not None
    assert [one.path.name for one in siblings(file)] == ["spot.onnx"]


@pytest.mark.parametrize("ending", ["", "-fp16", "-int8", "-int8-cpu", "-int8-fp16"])
def test_the_name_without_its_ending(ending: str) -> None:
    assert base_name(Path(f"/x/street-8{ending}.onnx")) == "street-8"


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").touch()
    for name in ("absent.onnx", "text.onnx", "empty.onnx", "."):
        assert read(tmp_path / name) is None


def test_the_shipped_files_are_one_model() -> None:
    file = read(ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx")
    assert file is not None
    found = {one.path.name.removeprefix("korsal-lite-ucf24x5-jhmdb21"): reason for one, reason in beside(file)}
    assert found == dict.fromkeys(("-fp16.onnx", "-int8.onnx", "-int8-cpu.onnx", "-int8-fp16.onnx"), "")
    assert all(path.stat().st_size <= 12 << 20 for path in (ROOT / "models").glob("*.onnx"))


def test_the_list_of_the_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert models(None) == 0
    output = capsys.readouterr().out
    assert output.startswith("korsal-lite-ucf24x5-jhmdb21, 288x224, motion map ssim: Basketball, BasketballDunk, ")
    for name in ("", "-fp16", "-int8", "-int8-cpu", "-int8-fp16"):
        assert f"{ROOT / 'models' / 'korsal-lite-ucf24x5-jhmdb21'}{name}.onnx\n" in output
    blocks = output.split("\n\n")
    placed = {block.split("\n")[0].rpartition("/")[2]: block.partition("chosen on: ")[2] for block in blocks[1:-1]}
    assert placed == {
        "korsal-lite-ucf24x5-jhmdb21.onnx": "CPUs",
        "korsal-lite-ucf24x5-jhmdb21-fp16.onnx": "GPUs without fast INT8",
        "korsal-lite-ucf24x5-jhmdb21-int8.onnx": "Jetson Orin with JetPack 6.0",
        "korsal-lite-ucf24x5-jhmdb21-int8-cpu.onnx": 'CPUs with model.precision = "int8"',
        "korsal-lite-ucf24x5-jhmdb21-int8-fp16.onnx": "Jetson Orin with JetPack 6.1, 6.2, 7.2; Jetson Thor",
    }
    assert output.count("\n* ") == 2  # the file that runs here, and why


def test_the_list_of_a_configured_model_names_what_does_not_belong_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "spot.onnx")
    write(tmp_path / "spot-int8.onnx", "int8", weights="older")
    model = '[model]\npath = "spot.onnx"\nruntime = "onnxruntime"\nprecision = "fp16"\n'
    (tmp_path / "config.toml").write_text(f'{model}[cameras.door]\nsource = "/dev/video0"\n')
    assert models(tmp_path / "config.toml") == 0
    output = capsys.readouterr().out
    assert f"not a file of this model: {tmp_path / 'spot-int8.onnx'} has other weights" in output
    assert "* runs here, in FP32: model.precision is fp16, and neither " in output


def test_a_model_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge.commands import command_line

    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "config.toml").write_text('[model]\npath = "text.onnx"\n[cameras.door]\nsource = "/dev/video0"\n')
    assert command_line.main(["models", "--config", str(tmp_path / "config.toml")]) == 1
    assert "text.onnx: is no ONNX file with a manifest" in capsys.readouterr().err
    assert model_files.read(tmp_path / "text.onnx") is None
