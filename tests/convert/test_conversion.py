"""`korsal-convert` from weights to a checked file, on a network without training."""

import sys
from pathlib import Path

import pytest

from convert import export, onnx_file, timing
from convert.__main__ import main
from edge.engines import engine_record, onnxruntime_engine, tensorrt_engine
from edge.files import sha256_of
from edge.manifest import Manifest
from edge.model_choice import file_kind
from tests.support import fake_device
from tests.support.fake_gpu import FakeGpu
from tests.support.paths import ROOT
from tests.support.tiny_videos import LABELS, write_data_set
from tests.support.untrained_model import write_untrained_checkpoint
from train import checkpoint as checkpoints
from train.safe_reading import torch_file

MANIFEST = Manifest("tiny", LABELS, 64, 96, top_k=20)

pytestmark = pytest.mark.slow

CLIP = ROOT / "demo" / "basketball.mp4"


@pytest.fixture(autouse=True)
def circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TensorRT, whatever runs the tests; and times that nobody looks at are taken of a few calls."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(timing, "ROUNDS", 2)


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
    output = capsys.readouterr().out
    assert "tiny.onnx: exported, answers as torch does" in output
    assert "lost: " in output
    assert "tiny.onnx: exported, answers as torch does, on 16 real frames: " in output
    how = "by korsal-convert build tiny-int8-fp16.onnx -o tiny.engine (of tiny-int8.onnx with TensorRT 8.6), or by"
    assert f"tiny.engine: is built on the Jetson, {how}" in output
    ready = [line for line in output.splitlines() if ": ready, " in line]
    assert [line.split(":")[0] for line in ready] == [
        f"{tmp_path}/new/tiny-int8.onnx",
        f"{tmp_path}/new/tiny-int8-fp16.onnx",
    ]
    for name, kind in (("tiny-int8", "int8"), ("tiny-int8-fp16", "int8-fp16")):
        manifest = onnx_file.read(tmp_path / "new" / f"{name}.onnx")[1]
        assert (file_kind(manifest), manifest.preprocessing) == (kind, "outside")


def test_preprocessing_goes_into_all_that_is_made(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(checkpoint, data, tmp_path / "tiny", "--with-motion") == 0
    assert capsys.readouterr().out.count("preprocessing inside, as the daemon's: differs by") == 3
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["tiny-int8-fp16.onnx", "tiny-int8.onnx", "tiny.onnx"]
    for name in made:
        assert onnx_file.read(tmp_path / name)[1].preprocessing == "graph"


def test_what_is_made_of_a_file_with_its_preprocessing_has_it_too(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, given = tmp_path / "plain.onnx", tmp_path / "given.onnx"
    assert main(["export", str(checkpoint), "-o", str(plain), "--quiet"]) == 0
    assert main([str(plain), "-o", str(given), "--precision", "fp32", "--with-motion"]) == 0
    assert [onnx_file.read(path)[1].preprocessing for path in (plain, given)] == ["outside", "graph"]
    before = given.read_bytes()
    assert command(given, data, tmp_path / "made", "--precision", "fp16") == 0
    assert onnx_file.read(tmp_path / "made-fp16.onnx")[1].preprocessing == "graph"
    assert command(given, data, tmp_path / "made", "--target", "cpu", "--with-motion") == 0
    assert onnx_file.read(tmp_path / "made-int8.onnx")[1].preprocessing == "outside"
    assert given.read_bytes() == before


def test_what_loses_too_much_is_not_handed_over(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # nothing can be better than FP32 by 101 points
    assert command(checkpoint, data, tmp_path / "tiny", *accuracy(data), "--max-map-drop", "-101") == 1
    output = capsys.readouterr()
    assert "again with 4 more convolutions in floating point" in output.out
    assert "again with 8 more convolutions in floating point" in output.out
    assert "INT8 loses too much: falling back to FP16" in output.out
    assert "FP16 loses" in output.err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_fp16_and_fp32(checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(checkpoint, data, tmp_path / "tiny", "--precision", "fp16") == 0
    assert onnxruntime_engine.load(tmp_path / "tiny-fp16.onnx").manifest.precision == "fp16"
    assert "accuracy: not measured" in capsys.readouterr().out
    assert command(checkpoint, data, tmp_path / "other", "--precision", "fp32") == 0
    assert onnxruntime_engine.load(tmp_path / "other.onnx").manifest.precision == "fp32"


def test_the_checkpoint_is_read_once(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = torch_file.load
    monkeypatch.setattr(torch_file, "load", lambda path: (read.append(path), load(path))[1])
    more = ["--precision", "fp16", *accuracy(data), "--max-map-drop", "100"]
    assert command(checkpoint, data, tmp_path / "tiny", *more) == 0
    assert read == [checkpoint]


def test_what_was_there_stays_where_the_new_one_loses_too_much(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny-fp16.onnx").write_bytes(b"the old one")
    more = ["--precision", "fp16", *accuracy(data), "--max-map-drop", "-101"]
    assert command(checkpoint, data, tmp_path / "tiny", *more) == 1
    assert (tmp_path / "tiny-fp16.onnx").read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-fp16.onnx", "tiny.onnx"]


@pytest.fixture
def gpu(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """TensorRT is here, and its engines answer as the FP32 model does."""
    onnx = tmp_path / "answers" / "exact.onnx"
    export.export(checkpoints.load(checkpoint), onnx)
    return fake_device.use(fake_device.gpu_of(onnx), monkeypatch)


def test_where_tensorrt_is_the_engine_is_built_and_compared(
    gpu: FakeGpu, checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--precision", "fp16", "--max-batch", "2", *accuracy(data), "--max-map-drop", "100"]
    assert command(checkpoint, data, tmp_path / "new" / "tiny-1.5", *more) == 0
    output = capsys.readouterr().out
    engine_file = tmp_path / "new" / "tiny-1.5.engine"
    assert output.count("\nlost: ") == 2  # of the FP16 file, of the engine
    assert f"{engine_file}: tiny, fp16, batches of 1 to 2" in output
    assert "unchecked" not in output
    assert output.splitlines()[-2].startswith(f"{engine_file}: ready")
    assert sorted(path.name for path in engine_file.parent.iterdir()) == [
        "tiny-1.5-fp16.onnx",
        "tiny-1.5.engine",
        "tiny-1.5.engine.json",
        "tiny-1.5.onnx",
    ]
    record = engine_record.from_json(engine_record.beside(engine_file).read_text())
    assert (record.precision, record.options.max_batch, record.platform.gpu) == ("fp16", 2, "Orin")
    assert record.onnx_sha256 == sha256_of(tmp_path / "new" / "tiny-1.5-fp16.onnx")
    with tensorrt_engine.load(engine_file, gpu.trt, gpu.cuda):
        pass
    assert gpu.runtime.leaks == 0


def test_fp32_without_videos_is_built_and_not_compared(
    gpu: FakeGpu, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "tiny.onnx"), "--precision", "fp32"]) == 0
    output = capsys.readouterr().out
    assert "tiny.engine: not compared with FP32; give --calibrate VIDEO" in output
    assert (tmp_path / "tiny.engine.json").is_file()


def test_an_engine_that_loses_too_much_is_not_handed_over(
    gpu: FakeGpu, checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blind, it finds nothing; the ONNX that it is built from has passed."""
    answer = gpu.trt.compute
    gpu.trt.compute = lambda inputs: {name: 0 * value for name, value in answer(inputs).items()}
    (tmp_path / "tiny.engine").write_bytes(b"the old one")
    more = ["--precision", "fp32", *accuracy(data), "--max-map-drop", "-1"]
    assert command(checkpoint, data, tmp_path / "tiny", *more) == 1
    output = capsys.readouterr().err
    assert "tiny.engine: its engine loses " in output
    assert "tiny.onnx itself has passed)" in output
    assert (tmp_path / "tiny.engine").read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers", "tiny.engine", "tiny.onnx"]
    assert gpu.runtime.leaks == 0


def test_an_engine_that_is_not_built(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = tmp_path / "tiny.onnx"
    export.export(checkpoints.load(checkpoint), exact)
    failing = {"Builder.build_serialized_network": "Could not allocate workspace"}
    fake_device.use(fake_device.gpu_of(exact, failing=failing), monkeypatch)
    assert main([str(exact), "-o", str(tmp_path / "tiny"), "--precision", "fp32"]) == 1
    assert "did not build it (TensorRT: Could not allocate workspace); end other programs" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_files_for_cpus_are_not_built(
    gpu: FakeGpu, checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(checkpoint, data, tmp_path / "tiny", "--target", "cpu") == 0
    assert capsys.readouterr().out.splitlines()[-2].startswith(f"{tmp_path}/tiny-int8.onnx: ready")
    assert gpu.trt.named("Builder.build_serialized_network") == []


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
    ("more", "message"),
    [
        ([], "--calibrate is missing"),
        (["--calibrate", "/nowhere"], "--calibrate /nowhere: no such file or folder"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_input_gives_a_one_sentence_error(
    checkpoint: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "x"), *more]) == 1
    output = capsys.readouterr().err
    assert output.startswith("korsal-convert: ")
    assert message in output
    assert output.count("\n") == 1


@pytest.mark.slow
def test_quantising_needs_a_name_unless_it_only_reports(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(CLIP)
    assert main(["quantize", str(untrained), "--calibrate", clip]) == 1
    assert capsys.readouterr().err == "korsal-convert: -o is missing: name the .onnx to write\n"
    monkeypatch.chdir(tmp_path)
    given = ["quantize", str(untrained), "--calibrate", clip, "--frames", "16", "--method", "minmax", "--sensitivity"]
    assert main(given) == 0
    losses = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(losses) > 10
    assert all(float(decibels) > 0 and unit == "dB" and node.endswith("Conv") for decibels, unit, node in losses)
    assert list(tmp_path.iterdir()) == []
