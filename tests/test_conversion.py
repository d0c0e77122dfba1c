"""`korsal-convert` from weights to a checked file, on a network without training."""

from pathlib import Path

import pytest
from tiny_videos import LABELS, write_data_set
from untrained_model import write_untrained_checkpoint

from convert.__main__ import main
from edge import engine
from edge.manifest import Manifest

MANIFEST = Manifest("tiny", LABELS, 64, 96, top_k=20)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.pt", MANIFEST)


def command(checkpoint: Path, data: Path, name: Path, *more: str) -> int:
    given = [checkpoint, "-o", name, "--calibrate", data / "videos", "--method", "minmax", "--frames", 16]
    return main([*map(str, given), *more])


def accuracy(data: Path) -> list[str]:
    return ["--data", str(data), "--split", "validation", "--jobs", "1"]


def test_int8_is_made_checked_and_handed_over(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(checkpoint, data, tmp_path / "new" / "tiny", *accuracy(data), "--max-map-drop", "100") == 0
    told = capsys.readouterr().out
    assert "tiny.onnx: exported, answers as torch does" in told
    assert "lost: " in told
    assert told.splitlines()[-1].startswith(f"{tmp_path}/new/tiny-int8.onnx: ready")
    assert engine.load(tmp_path / "new" / "tiny-int8.onnx").manifest.precision == "int8"


def test_what_loses_too_much_is_not_handed_over(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # nothing can be better than FP32 by 101 points
    assert command(checkpoint, data, tmp_path / "tiny", *accuracy(data), "--max-map-drop", "-101") == 1
    told = capsys.readouterr()
    assert "again with 4 more convolutions in floating point" in told.out
    assert "again with 8 more convolutions in floating point" in told.out
    assert "INT8 loses too much: falling back to FP16" in told.out
    assert "FP16 loses" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_fp16_and_fp32(checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(checkpoint, data, tmp_path / "tiny", "--precision", "fp16") == 0
    assert engine.load(tmp_path / "tiny-fp16.onnx").manifest.precision == "fp16"
    assert "accuracy: not measured" in capsys.readouterr().out
    assert command(checkpoint, data, tmp_path / "other", "--precision", "fp32") == 0
    assert engine.load(tmp_path / "other.onnx").manifest.precision == "fp32"


def test_steps_by_themselves(checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact, int8 = str(tmp_path / "a.onnx"), str(tmp_path / "b.onnx")
    videos = ["--calibrate", str(data / "videos"), "--frames", "16"]
    assert main(["export", str(checkpoint), "-o", exact]) == 0
    assert main(["quantize", exact, "-o", int8, "--method", "minmax", *videos]) == 0
    assert "b.onnx: int8, 2" in capsys.readouterr().out
    assert main(["check", exact, int8, *videos, *accuracy(data), "--max-map-drop", "100"]) == 0
    assert "lost: " in capsys.readouterr().out
    assert main(["check", exact, int8, *videos, *accuracy(data), "--max-map-drop", "-101"]) == 1
    assert "loses more than -101 points" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--calibrate nothing: holds no video"),
        (["--calibrate", "/nowhere"], "--calibrate /nowhere: no such file or folder"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_input_is_one_sentence(
    checkpoint: Path, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "x"), *more]) == 1
    told = capsys.readouterr().err
    assert told.startswith("korsal-convert: ")
    assert said in told
    assert told.count("\n") == 1
