"""What the whole command would do, in words; nothing is done."""

from pathlib import Path

import pytest

from convert.__main__ import main
from tests.support.paths import ROOT
from tests.support.untrained_model import write_untrained_checkpoint

CLIP = ROOT / "demo" / "basketball.mp4"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_untrained_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.pt")


def output_lines(capsys: pytest.CaptureFixture[str], *given: object) -> list[str]:
    assert main([str(one) for one in given]) == 0
    return capsys.readouterr().out.splitlines()


def test_int8_for_a_jetpack(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = tmp_path / "mine"
    given = [checkpoint, "-o", name, "--calibrate", CLIP, "--keep", "a", "--max-batch", 4, "--dry-run", "JetPack 6.0"]
    beside = "peaks, events and latency beside FP32; accuracy is not measured without --data"
    assert output_lines(capsys, *given) == [
        f"{checkpoint} is tiny, fp32; korsal-convert would",
        f"  export         {name}.onnx, compared with torch on 32 of 128 frames of 1 videos",
        f"  quantize       {name}-int8.onnx, for tensorrt, by percentile over 128 frames of 1 videos, keeping a",
        f"  check          {name}-int8.onnx: {beside}",
        "                 else with more in floating point, 3 times in all, then FP16",
        f"  quantize       {name}-int8-fp16.onnx, for TensorRT 10 and later: the rest in FP16, by casts",
        f"  check          {name}-int8-fp16.onnx: {beside}",
        f"  build          {name}.engine of {name}-int8.onnx, since TensorRT 10 of the other, where TensorRT is",
        f"  check          {name}.engine: {beside}",
        "TensorRT 8.6.2 would build int8:",
        f"  reads          {name}-int8.onnx: INT8 by Q/DQ in the file",
        "  network flags  EXPLICIT_BATCH",
        "  builder flags  INT8 FP16",
        "  types          chosen by the builder among what the flags allow",
        "  batches        batches of 1 to 4, tuned for 4",
        "  workspace      1024 MiB",
        f"  writes         {name}.engine and {name}.engine.json",
    ]
    assert list(tmp_path.iterdir()) == []


def test_other_precisions(
    checkpoint: Path, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output_lines(
        capsys, untrained, "-o", tmp_path / "x", "--precision", "fp16", "--calibrate", CLIP, "--dry-run"
    )
    assert [line.split()[0] for line in lines[1:]] == ["quantize", "check", "build", "check"]
    lines = output_lines(capsys, untrained, "-o", tmp_path / "x", "--precision", "fp32", "--dry-run")
    assert lines[1:] == [
        f"  build          {tmp_path / 'x'}.engine of {untrained}, where TensorRT is",
        f"  check          {tmp_path / 'x'}.engine: not compared without --calibrate",
    ]
    lines = output_lines(
        capsys, checkpoint, "-o", tmp_path / "x", "--precision", "fp32", "--target", "cpu", "--dry-run", "10.3"
    )
    assert lines[1:] == [
        f"  export         {tmp_path / 'x'}.onnx, compared with torch on noise",
        "  build          nothing: --target cpu is for ONNX Runtime",
    ]


def test_int8_with_its_preprocessing_for_tensorrt_10(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = tmp_path / "mine"
    given = [checkpoint, "-o", name, "--calibrate", CLIP, "--with-motion", "--dry-run", "10.3"]
    lines = output_lines(capsys, *given)
    assert "  prepare        preprocessing and motion map go into each of these files" in lines
    assert f"  reads          {name}-int8-fp16.onnx: INT8 by Q/DQ in the file" in lines
    assert "  prepare" not in "".join(output_lines(capsys, *given[:-3], "--dry-run", "10.3"))
    for_cpus = output_lines(capsys, *given[:-2], "--target", "cpu", "--dry-run")
    assert not [line for line in for_cpus if "prepare" in line or "int8-fp16" in line]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dry-run"], "--calibrate is missing"),
        (["--precision", "fp32", "--dry-run", "JetPack 5"], "JetPack 5: its TensorRT is not known here"),
        (["--precision", "fp32", "--dry-run", "8.4"], "TensorRT 8.4 is too old"),
    ],
)
def test_refusals(
    more: list[str], message: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "x"), *more]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("points", ["x", "nan", "inf", ""])
def test_what_may_be_lost_is_a_number(points: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tiny.pt", "-o", "tiny", "--max-map-drop", points])
    assert ended.value.code == 2
    assert f"{points} is no number of points" in capsys.readouterr().err
